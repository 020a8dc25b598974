"""MPNet's configuration (2004.09297)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from kfp_finetune.components.models.configurations.common import CommonConfig
from kfp_finetune.components.models.configurations.rules import optional_size, size

# Hard-coded in PyTorch, regardless of the configuration.
BUCKETS = 32
PADDING = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class MPNetConfig(CommonConfig):
    """`transformers.MPNetConfig`."""

    TOKEN_TYPES: ClassVar[bool] = False

    vocab_size: int = size(30_527)
    max_position_embeddings: int = size(512, least=PADDING + 2)
    relative_attention_num_buckets: int = size(BUCKETS, least=BUCKETS)
    pad_token_id: int | None = optional_size(1, least=0)

    type_vocab_size: ClassVar[int] = 0

    @property
    def fixed_ids(self) -> int:
        """See `Config.fixed_ids`: positions are not counted at padding."""
        return PADDING + 1

    @property
    def max_tokens(self) -> int:
        """Positions start behind the padding token's id."""
        return self.max_position_embeddings - PADDING - 1
