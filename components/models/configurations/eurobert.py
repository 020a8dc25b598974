"""EuroBERT's configuration (2503.05500)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from kfp_finetune.components.models.configurations import rope
from kfp_finetune.components.models.configurations.config import Config, heads_divide
from kfp_finetune.components.models.configurations.rules import (
    activation,
    flag,
    layers,
    one_of,
    optional_size,
    positive,
    rate,
    size,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EuroBertConfig(Config):
    """`transformers.EuroBertConfig`; `clf_pooling` is the key of the first published models."""

    OLD_NAMES: ClassVar[Mapping[str, str]] = {"clf_pooling": "classifier_pooling"}
    TOKEN_TYPES: ClassVar[bool] = False

    vocab_size: int = size(128_256)
    hidden_size: int = size(768)
    intermediate_size: int = size(3_072)
    num_hidden_layers: int = layers(12)
    num_attention_heads: int = size(12)
    num_key_value_heads: int | None = optional_size()
    head_dim: int | None = optional_size()
    hidden_act: str = activation("silu")
    max_position_embeddings: int = size(8_192)
    initializer_range: float = positive(0.02)
    rms_norm_eps: float = positive(1e-5)
    pad_token_id: int | None = optional_size(128_001, least=0)
    attention_bias: bool = flag(False)
    attention_dropout: float = rate(0.0)
    mlp_bias: bool = flag(False)
    classifier_pooling: str = one_of("late", "late", "bos", "mean")
    rope_parameters: Mapping[str, Any] | None = rope.rope_parameters()

    @classmethod
    def translated(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """See `Config.translated`."""
        return rope.with_rope_parameters(given, default_theta=10_000.0)

    def old_keys(self) -> dict[str, Any]:
        """See `Config.old_keys`; for the code that came with the first published models."""
        keys = rope.old_keys(self.rope_parameters or {})
        return {**keys, "clf_pooling": self.classifier_pooling}

    def problems(self) -> dict[str, str]:
        """Refuse heads that do not divide the width, cannot share keys, or have an odd width."""
        wrong = heads_divide(self.hidden_size, self.num_attention_heads)
        wrong |= heads_divide(self.num_attention_heads, self.key_value_heads, "num_key_value_heads")
        return wrong | rope.problems(self.rope, self.head_size)

    @property
    def key_value_heads(self) -> int:
        """Number of heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def rope(self) -> rope.Rope:
        """The rotary embeddings."""
        return rope.rope_of(self.rope_parameters or {}, self.max_position_embeddings)
