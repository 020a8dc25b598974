"""NomicBERT's configuration (2402.01613)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kfp_finetune.components.models.configurations.rotary_bert import RotaryBertConfig
from kfp_finetune.components.models.configurations.rules import (
    activation,
    is_whole,
    optional_size,
    rate,
    size,
)

# Keys that the published models inherit from GPT-2. Transformers 5 ignores them; these values are
# what it computes.
_GATED = {"swiglu": "silu", "geglu": "gelu"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NomicBertConfig(RotaryBertConfig):
    """`transformers.NomicBertConfig`, also with the keys of the first published models."""

    DEFAULT_THETA: ClassVar[float] = 1_000.0
    OLD_NAMES: ClassVar[Mapping[str, str]] = {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "layer_norm_epsilon": "layer_norm_eps",
        "embd_pdrop": "hidden_dropout_prob",
        "attn_pdrop": "attention_probs_dropout_prob",
        "rotary_emb_base": "rope_theta",
    }
    PUBLISHED: ClassVar[Mapping[str, Sequence[Any]]] = {
        "activation_function": ("swiglu", "geglu"),
        "prenorm": (False,),
        "parallel_block": (False,),
        "use_rms_norm": (False,),
        "qkv_proj_bias": (False,),
        "mlp_fc1_bias": (False,),
        "mlp_fc2_bias": (False,),
        "rotary_emb_fraction": (1.0,),
        "rotary_emb_interleaved": (False,),
        "rotary_emb_scale_base": (None,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "scale_attn_weights": (True,),
        "moe_every_n_layers": (0, None),
    }

    vocab_size: int = size(30_528)
    hidden_act: str = activation("silu")
    hidden_dropout_prob: float = rate(0.0)
    attention_probs_dropout_prob: float = rate(0.0)
    max_position_embeddings: int = size(2_048)
    type_vocab_size: int = size(2)
    pad_token_id: int | None = optional_size(0, least=0)
    head_dim: int | None = optional_size()

    @classmethod
    def translated(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """See `Config.translated`."""
        given = super().translated(given)
        gated = given.get("activation_function")
        if isinstance(gated, str) and gated in _GATED:
            given.setdefault("hidden_act", _GATED[gated])
        width = given.get("hidden_size", 768)
        if given.get("intermediate_size", 0) is None and is_whole(width, 1):
            given["intermediate_size"] = 4 * width
        return given

    def problems(self) -> dict[str, str]:
        """See `rotary_problems`; heads with a configured width need not divide the model's."""
        return self.rotary_problems()

    @property
    def head_size(self) -> int:
        """Width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads
