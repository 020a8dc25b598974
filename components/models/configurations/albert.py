"""ALBERT's configuration (1909.11942)."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.common import CommonConfig
from kfp_finetune.components.models.configurations.config import together
from kfp_finetune.components.models.configurations.rules import activation, layers, only, rate, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlbertConfig(CommonConfig):
    """`transformers.AlbertConfig`."""

    vocab_size: int = size(30_000)
    embedding_size: int = size(128)
    hidden_size: int = size(4_096)
    num_hidden_groups: int = layers(1)
    num_attention_heads: int = size(64)
    intermediate_size: int = size(16_384)
    inner_group_num: int = layers(1)
    hidden_act: str = activation("gelu_new")
    hidden_dropout_prob: float = rate(0.0)
    attention_probs_dropout_prob: float = rate(0.0)
    classifier_dropout_prob: float = rate(0.1)
    type_vocab_size: int = size(2)
    # As in `BertConfig`.
    position_embedding_type: str = only("absolute")

    def problems(self) -> dict[str, str]:
        """Refuse heads that do not divide the width, and groups that no layer would use."""
        wrong = super().problems()
        if self.num_hidden_groups > self.num_hidden_layers:
            wrong["num_hidden_groups"] = f"at most num_hidden_layers ({self.num_hidden_layers})"
        wrong |= together(
            num_hidden_groups=self.num_hidden_groups, inner_group_num=self.inner_group_num
        )
        return wrong

    @property
    def head_dropout(self) -> float:
        """The dropout rate before the last layer."""
        return self.classifier_dropout_prob
