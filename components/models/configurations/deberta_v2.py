"""DeBERTa v2 (2006.03654) and v3 (2111.09543), which have the same encoder."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.deberta import DebertaConfig
from kfp_finetune.components.models.configurations.rules import (
    activation,
    checked,
    flag,
    is_whole,
    layers,
    only,
    optional_size,
    size,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DebertaV2Config(DebertaConfig):
    """`transformers.DebertaV2Config`."""

    vocab_size: int = size(128_100)
    hidden_size: int = size(1_536)
    num_hidden_layers: int = layers(24)
    num_attention_heads: int = size(24)
    intermediate_size: int = size(6_144)
    # Keys that Transformers' class does not list, but its models read if they are given.
    position_buckets: int = size(-1, least=-1)
    share_att_key: bool = flag(False)
    norm_rel_ebd: str = checked(
        "none",
        lambda v: isinstance(v, str) and v.lower().strip() in ("none", "layer_norm"),
        '"none" or "layer_norm"',
    )
    attention_head_size: int | None = optional_size()
    conv_kernel_size: int = checked(
        0,
        lambda v: is_whole(v, -1) and (v <= 0 or v % 2 == 1),
        "0 or an odd number",
    )
    conv_act: str = activation("tanh")
    conv_groups: int = only(1)

    @property
    def span(self) -> int:
        """Half the number of relative positions that have an embedding."""
        return self.position_buckets if self.position_buckets > 0 else self.farthest

    @property
    def normed_positions(self) -> bool:
        """Return True if the embeddings of relative positions are normalized."""
        return self.norm_rel_ebd.lower().strip() == "layer_norm"

    def problems(self) -> dict[str, str]:
        """See `DebertaConfig.problems`; also refuse buckets for which PyTorch's formula fails."""
        found = super().problems()
        buckets, most = self.position_buckets, 2 * self.farthest - 4
        if self.relative_attention and buckets > 0 and (buckets % 2 or buckets > most):
            found["position_buckets"] = f"-1, or an even number up to {most}"
        if self.normed_positions and not self.relative_attention:
            found["norm_rel_ebd"] = '"none" if relative_attention is false'
        size_of_head = self.hidden_size // self.num_attention_heads
        if "attention_head_size" in self.described and self.attention_head_size != size_of_head:
            found["attention_head_size"] = str(size_of_head)
        return found
