"""The configuration of RoBERTa (1907.11692) and of models with the same architecture."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.bert import BertConfig
from kfp_finetune.components.models.configurations.rules import size


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobertaConfig(BertConfig):
    """`transformers.RobertaConfig`, and `RobertaPreLayerNormConfig`."""

    vocab_size: int = size(50_265)
    pad_token_id: int = size(1, least=0)

    @property
    def max_tokens(self) -> int:
        """See `Config.max_tokens`; positions start after the padding token's id."""
        return self.max_position_embeddings - self.pad_token_id - 1

    @property
    def fixed_ids(self) -> int:
        """See `Config.fixed_ids`: positions are not counted at padding."""
        return self.pad_token_id + 1

    def problems(self) -> dict[str, str]:
        """Refuse heads that do not divide the width, and a padding id that leaves no positions."""
        positions = f"below max_position_embeddings ({self.max_position_embeddings}) - 1"
        no_positions = {} if self.max_tokens > 0 else {"pad_token_id": positions}
        return super().problems() | no_positions


@dataclasses.dataclass(frozen=True, kw_only=True)
class XLMRobertaConfig(RobertaConfig):
    """`transformers.XLMRobertaConfig`, and `CamembertConfig`."""

    vocab_size: int = size(30_522)
