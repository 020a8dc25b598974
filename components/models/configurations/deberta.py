"""DeBERTa's configuration (2006.03654)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from kfp_finetune.components.models.configurations.config import Config, heads_divide
from kfp_finetune.components.models.configurations.rules import (
    activation,
    checked,
    flag,
    layers,
    only,
    optional_size,
    positive,
    rate,
    size,
)

# Compare the content of the query with the position of the key, or the reverse.
_KINDS = ("c2p", "p2c")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DebertaConfig(Config):
    """`transformers.DebertaConfig`."""

    vocab_size: int = size(50_265)
    hidden_size: int = size(768)
    num_hidden_layers: int = layers(12)
    num_attention_heads: int = size(12)
    intermediate_size: int = size(3_072)
    hidden_act: str = activation("gelu")
    hidden_dropout_prob: float = rate(0.1)
    attention_probs_dropout_prob: float = rate(0.1)
    max_position_embeddings: int = size(512)
    type_vocab_size: int = size(0, least=0)
    initializer_range: float = positive(0.02)
    layer_norm_eps: float = positive(1e-7)
    relative_attention: bool = flag(False)
    max_relative_positions: int = size(-1, least=-1)
    pad_token_id: int | None = optional_size(0, least=0)
    position_biased_input: bool = flag(True)
    pos_att_type: str | Sequence[str] | None = checked(
        None,
        lambda v: v is None or _kinds(v) is not None,
        'null or a list of "c2p" and "p2c"',
    )
    pooler_dropout: float = rate(0.0)
    pooler_hidden_act: str = activation("gelu")
    # Keys that Transformers' class does not list, but its models read if they are given.
    pooler_hidden_size: int | None = optional_size()
    embedding_size: int | None = optional_size()
    cls_dropout: float | None = rate(None)
    talking_head: bool = only(False)

    @property
    def max_tokens(self) -> int | None:
        """See `Config.max_tokens`; relative positions are unlimited."""
        return self.max_position_embeddings if self.position_biased_input else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The comparisons with relative positions: "c2p", "p2c", both or none."""
        return _kinds(self.pos_att_type or []) or ()

    @property
    def farthest(self) -> int:
        """The distance beyond which all distances are equal."""
        longest = self.max_relative_positions
        return longest if longest > 0 else self.max_position_embeddings

    @property
    def span(self) -> int:
        """Half the number of relative positions that have an embedding."""
        return self.farthest

    def problems(self) -> dict[str, str]:
        """Refuse contradicting sizes, and weights that PyTorch would not use."""
        found = heads_divide(self.hidden_size, self.num_attention_heads)
        if self.pooler_hidden_size not in (None, self.hidden_size):
            found["pooler_hidden_size"] = f"{self.hidden_size}, the same as hidden_size"
        if self.relative_attention and not self.kinds:
            found["pos_att_type"] = '"c2p", "p2c" or both if relative_attention is true'
        for key in ("pooler_hidden_size", "embedding_size"):
            if key in self.described and getattr(self, key) is None:
                found[key] = "from 1"
        return found


def _kinds(value: Any) -> tuple[str, ...] | None:
    """Parse a list, or a text such as "c2p|p2c"; None if it is neither, or has unknown names."""
    if isinstance(value, str):
        value = [part.strip() for part in value.lower().split("|")]
    if not isinstance(value, list) or any(part not in _KINDS for part in value):
        return None
    return tuple(value) if len(set(value)) == len(value) else None
