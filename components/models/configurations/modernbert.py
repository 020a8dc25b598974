"""ModernBERT's configuration (2412.13663)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kfp_finetune.components.models.configurations import rope
from kfp_finetune.components.models.configurations.config import Config, heads_divide
from kfp_finetune.components.models.configurations.rules import (
    activation,
    checked,
    flag,
    is_depth,
    is_whole,
    layers,
    one_of,
    optional_size,
    positive,
    rate,
    size,
)

_THETAS = {"full_attention": 160_000.0, "sliding_attention": 10_000.0}
_OLD_THETAS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
_EVERY = "global_attn_every_n_layers"


def _ropes() -> Any:
    def accepts(value: Any) -> bool:
        return value is None or (
            isinstance(value, Mapping) and all(rope.is_rope(value.get(kind)) for kind in _THETAS)
        )

    return checked(None, accepts, f"for each type of attention {rope.EXPECTED}")


def _layer_types() -> Any:
    def accepts(value: Any) -> bool:
        return value is None or (
            isinstance(value, list) and all(kind in tuple(_THETAS) for kind in value)
        )

    return checked(None, accepts, 'null, or "full_attention" or "sliding_attention" for each layer')


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModernBertConfig(Config):
    """`transformers.ModernBertConfig`, with its old keys `global_attn_every_n_layers` and thetas.

    Attributes:
        layer_types: "full_attention" or "sliding_attention" for each layer; null for full attention
            in every third layer.
        rope_parameters: The rotary embeddings of each of the two types, see `rope.Rope`.
    """

    TOKEN_TYPES: ClassVar[bool] = False

    vocab_size: int = size(50_368)
    hidden_size: int = size(768)
    intermediate_size: int = size(1_152)
    num_hidden_layers: int = layers(22)
    num_attention_heads: int = size(12)
    hidden_activation: str = activation("gelu")
    max_position_embeddings: int = size(8_192)
    initializer_range: float = positive(0.02)
    norm_eps: float = positive(1e-5)
    norm_bias: bool = flag(False)
    pad_token_id: int | None = optional_size(50_283, least=0)
    attention_bias: bool = flag(False)
    attention_dropout: float = rate(0.0)
    layer_types: Sequence[str] | None = _layer_types()
    rope_parameters: Mapping[str, Any] | None = _ropes()
    local_attention: int = size(128)
    embedding_dropout: float = rate(0.0)
    mlp_bias: bool = flag(False)
    mlp_dropout: float = rate(0.0)
    classifier_pooling: str = one_of("cls", "cls", "mean")
    classifier_dropout: float = rate(0.0)
    classifier_bias: bool = flag(False)
    classifier_activation: str = activation("gelu")

    @classmethod
    def translated(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """See `Config.translated`; a null `local_rope_theta` means the global one, as in 4.57."""
        nested = given.get("rope_parameters") or {}
        scaling = given.get("rope_scaling") or {}
        ropes = nested
        if not isinstance(scaling, Mapping):
            ropes = scaling  # refused
        elif isinstance(nested, Mapping):
            thetas = {kind: given.get(key) for kind, key in _OLD_THETAS.items() if key in given}
            if "sliding_attention" in thetas:
                thetas["sliding_attention"] = (
                    thetas["sliding_attention"] or thetas.get("full_attention") or 160_000.0
                )
            ropes = {
                kind: rope.complete(
                    {**found, **scaling} if isinstance(found, Mapping) else found,
                    {"rope_theta": thetas.get(kind) or theta},
                )
                for kind, theta in _THETAS.items()
                for found in [nested.get(kind) or {}]
            }
        return {**given, "rope_parameters": ropes, "layer_types": _types(given)}

    def problems(self) -> dict[str, str]:
        """Refuse heads that do not divide the width, and a wrong number of layer types."""
        wrong = heads_divide(self.hidden_size, self.num_attention_heads)
        for local in {*self.local_layers}:
            size = self.hidden_size // self.num_attention_heads
            wrong |= rope.problems(self.rope(local), size)
        if len(self.layer_types or ()) not in (0, self.num_hidden_layers):
            wrong["layer_types"] = f"one for each of the {self.num_hidden_layers} layers"
        return wrong

    def old_keys(self) -> dict[str, Any]:
        """See `Config.old_keys`."""
        ropes = self.rope_parameters or {}
        keys: dict[str, Any] = {key: ropes[kind]["rope_theta"] for kind, key in _OLD_THETAS.items()}
        full = [number for number, local in enumerate(self.local_layers) if not local]
        keys[_EVERY] = full[1] if len(full) > 1 else self.num_hidden_layers
        scaling = [rope.old_keys(ropes[kind])["rope_scaling"] for kind in _THETAS]
        keys["rope_scaling"] = scaling[0] if scaling[0] == scaling[1] else None
        return keys

    @property
    def local_layers(self) -> list[bool]:
        """Return True if each layer attends within the window only."""
        return [kind == "sliding_attention" for kind in self.layer_types or ()]

    def rope(self, local: bool) -> rope.Rope:
        """The rotary embeddings of the layers of a type."""
        kind = "sliding_attention" if local else "full_attention"
        return rope.rope_of((self.rope_parameters or {})[kind], self.max_position_embeddings)


def _types(given: Mapping[str, Any]) -> Any:
    if given.get("layer_types") is not None:
        return given["layer_types"]
    layers = given.get("num_hidden_layers", 22)
    every = given.get(_EVERY, 3)
    if not is_whole(every, 1):
        return str(every)  # refused
    if not is_depth(layers):
        return None  # `layers` is refused
    return ["sliding_attention" if i % every else "full_attention" for i in range(layers)]
