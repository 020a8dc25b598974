"""BERT's configuration (1810.04805)."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.config import Config, heads_divide
from kfp_finetune.components.models.configurations.rules import (
    activation,
    only,
    optional_size,
    positive,
    rate,
    size,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig(Config):
    """`transformers.BertConfig`."""

    hidden_size: int = size(768)
    num_hidden_layers: int = size(12)
    num_attention_heads: int = size(12)
    intermediate_size: int = size(3_072)
    hidden_act: str = activation("gelu")
    hidden_dropout_prob: float = rate(0.1)
    attention_probs_dropout_prob: float = rate(0.1)
    classifier_dropout: float | None = rate(None)
    max_position_embeddings: int = size(512)
    type_vocab_size: int = size(2)
    initializer_range: float = positive(0.02)
    layer_norm_eps: float = positive(1e-12)
    pad_token_id: int | None = optional_size(0, least=0)
    # Transformers 5 ignores the relative kinds, 4.57 computes them: the answers would differ.
    position_embedding_type: str = only("absolute")

    def problems(self) -> dict[str, str]:
        """Heads that do not divide the width."""
        return heads_divide(self.hidden_size, self.num_attention_heads)
