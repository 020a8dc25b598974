"""RemBERT's configuration (2010.12821)."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.common import CommonConfig
from kfp_finetune.components.models.configurations.rules import layers, rate, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemBertConfig(CommonConfig):
    """`transformers.RemBertConfig`; `output_embedding_size` is only for masked language models."""

    vocab_size: int = size(250_300)
    hidden_size: int = size(1_152)
    num_hidden_layers: int = layers(32)
    num_attention_heads: int = size(18)
    input_embedding_size: int = size(256)
    intermediate_size: int = size(4_608)
    hidden_dropout_prob: float = rate(0.0)
    attention_probs_dropout_prob: float = rate(0.0)
    classifier_dropout_prob: float = rate(0.1)
    type_vocab_size: int = size(2)

    @property
    def embedding_size(self) -> int:
        """Width of the embeddings, under the name that other families use."""
        return self.input_embedding_size

    @property
    def head_dropout(self) -> float:
        """The dropout rate before the last layer."""
        return self.classifier_dropout_prob
