"""BERT's configuration (1810.04805)."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.common import CommonConfig
from kfp_finetune.components.models.configurations.rules import only, rate, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig(CommonConfig):
    """`transformers.BertConfig`."""

    classifier_dropout: float | None = rate(None)
    type_vocab_size: int = size(2)
    # Transformers 5 ignores relative embeddings and 4.57 computes them: predictions would differ.
    position_embedding_type: str = only("absolute")
