"""What the configurations of BERTs with rotary positions share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from kfp_finetune.components.models.configurations import rope
from kfp_finetune.components.models.configurations.common import CommonConfig
from kfp_finetune.components.models.configurations.rules import optional_size, rate, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotaryBertConfig(CommonConfig):
    """Keys of BERT, and those of the positions."""

    DEFAULT_THETA: ClassVar[float]

    classifier_dropout: float | None = rate(None)
    max_position_embeddings: int = size(8_192)
    type_vocab_size: int = size(1)
    pad_token_id: int | None = optional_size(1, least=0)
    rope_parameters: Mapping[str, Any] | None = rope.rope_parameters()

    @classmethod
    def translated(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """As `Config.translated`."""
        return rope.with_rope_parameters(given, cls.DEFAULT_THETA)

    def old_keys(self) -> dict[str, Any]:
        """As `Config.old_keys`."""
        return rope.old_keys(self.rope_parameters or {})

    def problems(self) -> dict[str, str]:
        """Heads that do not divide the width, or that cannot be turned."""
        return super().problems() | rope.problems(self.rope, self.head_size)

    @property
    def head_size(self) -> int:
        """Width of a head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def rope(self) -> rope.Rope:
        """The rotary embeddings."""
        return rope.rope_of(self.rope_parameters or {}, self.max_position_embeddings)
