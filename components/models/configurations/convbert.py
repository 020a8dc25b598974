"""ConvBERT's configuration (2008.02496)."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.bert import BertConfig
from kfp_finetune.components.models.configurations.rules import (
    checked,
    is_whole,
    optional_size,
    size,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvBertConfig(BertConfig):
    """`transformers.ConvBertConfig`."""

    embedding_size: int = size(768)
    head_ratio: int = size(2)
    conv_kernel_size: int = checked(9, lambda v: is_whole(v, 1) and v % 2 == 1, "an odd number")
    num_groups: int = size(1)
    pad_token_id: int | None = optional_size(1, least=0)

    @property
    def fixed_ids(self) -> int:
        """See `Config.fixed_ids`: padding is not trained."""
        return (self.pad_token_id or 0) + 1

    @property
    def attention_heads(self) -> int:
        """The number of heads after `head_ratio` reduces `num_attention_heads`."""
        return max(self.num_attention_heads // self.head_ratio, 1)

    def problems(self) -> dict[str, str]:
        """Refuse heads and groups that do not divide the widths."""
        wrong = super().problems()
        if self.hidden_size % (2 * self.attention_heads):
            wrong["head_ratio"] = (
                f"one that leaves a number of heads that divides half of {self.hidden_size}"
            )
        if self.hidden_size % self.num_groups or self.intermediate_size % self.num_groups:
            wrong["num_groups"] = "a divisor of hidden_size and intermediate_size"
        return wrong
