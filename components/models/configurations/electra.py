"""ELECTRA's configuration (2003.10555)."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.bert import BertConfig
from kfp_finetune.components.models.configurations.rules import size


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElectraConfig(BertConfig):
    """`transformers.ElectraConfig`; its `summary_*` keys are only for multiple choice."""

    embedding_size: int = size(128)
    hidden_size: int = size(256)
    num_attention_heads: int = size(4)
    intermediate_size: int = size(1_024)
