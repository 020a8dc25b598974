"""DistilBERT's configuration (1910.01108)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from kfp_finetune.components.models.configurations.config import Config, heads_divide
from kfp_finetune.components.models.configurations.rules import (
    activation,
    flag,
    layers,
    optional_size,
    positive,
    rate,
    size,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistilBertConfig(Config):
    """`transformers.DistilBertConfig`; BERT's names are accepted too."""

    ALIASES: ClassVar[Mapping[str, str]] = {
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }
    TOKEN_TYPES: ClassVar[bool] = False

    dim: int = size(768)
    n_layers: int = layers(6)
    n_heads: int = size(12)
    hidden_dim: int = size(4 * 768)
    activation: str = activation("gelu")
    dropout: float = rate(0.1)
    attention_dropout: float = rate(0.1)
    seq_classif_dropout: float = rate(0.2)
    max_position_embeddings: int = size(512)
    # Initial values of the positions before pretraining; the checkpoint has the positions anyway.
    sinusoidal_pos_embds: bool = flag(False)
    initializer_range: float = positive(0.02)
    pad_token_id: int | None = optional_size(0, least=0)

    type_vocab_size: ClassVar[int] = 0
    layer_norm_eps: ClassVar[float] = 1e-12
    # The names in other families.
    hidden_size = property(lambda self: self.dim)
    num_hidden_layers = property(lambda self: self.n_layers)
    num_attention_heads = property(lambda self: self.n_heads)
    intermediate_size = property(lambda self: self.hidden_dim)
    hidden_act = property(lambda self: self.activation)
    hidden_dropout_prob = property(lambda self: self.dropout)
    attention_probs_dropout_prob = property(lambda self: self.attention_dropout)
    head_dropout = property(lambda self: self.dropout)

    def problems(self) -> dict[str, str]:
        """Refuse heads that do not divide the width."""
        return heads_divide(self.dim, self.n_heads, "n_heads")
