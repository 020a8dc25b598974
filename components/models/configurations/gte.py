"""GTE's configuration (2407.19669)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kfp_finetune.components.models.configurations.rotary_bert import RotaryBertConfig
from kfp_finetune.components.models.configurations.rules import rate, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class GteConfig(RotaryBertConfig):
    """`transformers.GteConfig`."""

    DEFAULT_THETA: ClassVar[float] = 160_000.0
    PUBLISHED: ClassVar[Mapping[str, Sequence[Any]]] = {
        "layer_norm_type": ("layer_norm",),
        "logn_attention_scale": (False,),
        "position_embedding_type": ("rope",),
    }

    vocab_size: int = size(250_048)
    attention_probs_dropout_prob: float = rate(0.0)
    type_vocab_size: int = size(1, least=0)
