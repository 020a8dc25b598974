"""The configuration that BERTs with rotary positions share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kfp_finetune.components.models.configurations import rope
from kfp_finetune.components.models.configurations.common import CommonConfig
from kfp_finetune.components.models.configurations.rules import optional_size, rate, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotaryBertConfig(CommonConfig):
    """The keys of BERT and of the positions."""

    DEFAULT_THETA: ClassVar[float]
    # Keys that only the code of the first published models reads, with the values for which that
    # code computes the same as Transformers.
    PUBLISHED: ClassVar[Mapping[str, Sequence[Any]]] = {}

    classifier_dropout: float | None = rate(None)
    max_position_embeddings: int = size(8_192)
    type_vocab_size: int = size(1)
    pad_token_id: int | None = optional_size(1, least=0)
    rope_parameters: Mapping[str, Any] | None = rope.rope_parameters()

    @classmethod
    def translated(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """See `Config.translated`."""
        return rope.with_rope_parameters(given, cls.DEFAULT_THETA)

    def old_keys(self) -> dict[str, Any]:
        """See `Config.old_keys`."""
        return rope.old_keys(self.rope_parameters or {})

    def problems(self) -> dict[str, str]:
        """Refuse heads that do not divide the width; see also `rotary_problems`."""
        return super().problems() | self.rotary_problems()

    def rotary_problems(self) -> dict[str, str]:
        """Refuse heads that cannot be rotated, and unsupported values of `PUBLISHED` keys."""
        return rope.problems(self.rope, self.head_size) | {
            key: " or ".join(str(value) for value in values)
            for key, values in self.PUBLISHED.items()
            if key in self.described and self.described[key] not in values
        }

    @property
    def head_size(self) -> int:
        """Width of a head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def rope(self) -> rope.Rope:
        """The rotary embeddings."""
        return rope.rope_of(self.rope_parameters or {}, self.max_position_embeddings)
