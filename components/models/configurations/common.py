"""The configuration that BERT and most later encoders share."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.config import Config, heads_divide
from kfp_finetune.components.models.configurations.rules import (
    activation,
    layers,
    optional_size,
    positive,
    rate,
    size,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommonConfig(Config):
    """A transformer's sizes and rates, with BERT's defaults."""

    hidden_size: int = size(768)
    num_hidden_layers: int = layers(12)
    num_attention_heads: int = size(12)
    intermediate_size: int = size(3_072)
    hidden_act: str = activation("gelu")
    hidden_dropout_prob: float = rate(0.1)
    attention_probs_dropout_prob: float = rate(0.1)
    max_position_embeddings: int = size(512)
    initializer_range: float = positive(0.02)
    layer_norm_eps: float = positive(1e-12)
    pad_token_id: int | None = optional_size(0, least=0)

    def problems(self) -> dict[str, str]:
        """Refuse heads that do not divide the width."""
        return heads_divide(self.hidden_size, self.num_attention_heads)

    @property
    def head_dropout(self) -> float:
        """The dropout rate before the last layer; by default that of the hidden states."""
        own: float | None = getattr(self, "classifier_dropout", None)
        return self.hidden_dropout_prob if own is None else own
