"""Rotary position embeddings in a config.json, with the keys of Transformers 4 and 5.

Transformers 4 has `rope_theta` and `rope_scaling`, Transformers 5 a dictionary `rope_parameters`.
Both are read and written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kfp_finetune.components.models.configurations.rules import checked, is_number, is_positive

KINDS = ("default", "linear", "dynamic")
EXPECTED = (
    '`rope_type` "default", or "linear" or "dynamic" with a `factor` from 1; `rope_theta` above 0;'
    " `partial_rotary_factor` 1"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rope:
    """Rotary position embeddings (2104.09864).

    Attributes:
        theta: Base of the wavelengths.
        kind: "default"; "linear": all angles are divided by `factor`; "dynamic": `theta` grows with
            the length of texts beyond `trained_length`.
        factor: Factor by which the length may grow.
        trained_length: The configuration's `max_position_embeddings`.
    """

    theta: float
    kind: str
    factor: float
    trained_length: int


def rope_of(parameters: Mapping[str, Any], trained_length: int) -> Rope:
    """The typed form of a dictionary that `is_rope` accepts."""
    return Rope(
        theta=float(parameters["rope_theta"]),
        kind=parameters["rope_type"],
        factor=float(parameters.get("factor") or 1),
        trained_length=trained_length,
    )


def rope_parameters() -> Any:
    """A field for `rope_parameters`, which `with_rope_parameters` completes."""
    return checked(None, lambda value: value is None or is_rope(value), EXPECTED)


def is_rope(value: Any) -> bool:
    """Return True if a value is a dictionary of implemented rotary embeddings."""
    if not isinstance(value, Mapping):
        return False
    kind, theta, factor = value.get("rope_type"), value.get("rope_theta"), value.get("factor")
    return (
        kind in KINDS
        and is_positive(theta)
        and value.get("partial_rotary_factor") in (None, 1)
        and (kind == "default" or (is_number(factor) and factor >= 1))
    )


def with_rope_parameters(given: Mapping[str, Any], default_theta: float) -> dict[str, Any]:
    """Complete the `rope_parameters` of a config.json as Transformers 5 does.

    Args:
        given: The content of config.json; `rope_scaling` has precedence over `rope_parameters`, and
            a `rope_theta` in the dictionary over one outside it.
        default_theta: Transformers' default for this family.
    """
    found = given.get("rope_scaling") or given.get("rope_parameters") or {}
    beside = {
        "rope_theta": given.get("rope_theta", default_theta),
        "partial_rotary_factor": given.get("partial_rotary_factor"),
    }
    return {**given, "rope_parameters": complete(found, beside)}


def complete(found: Any, beside: Mapping[str, Any]) -> Any:
    """Complete a dictionary of rotary embeddings, under Transformers 5's names.

    Args:
        found: The dictionary; anything else is returned unchanged and refused later.
        beside: Values for missing keys; None for no value.
    """
    if not isinstance(found, Mapping):
        return found
    kind = found.get("rope_type", found.get("type", "default"))
    defaults = {key: value for key, value in beside.items() if value is not None}
    return {**defaults, **{k: v for k, v in found.items() if k != "type"}, "rope_type": kind}


def problems(rope: Rope, size: int) -> dict[str, str]:
    """Refuse a width of heads that cannot be rotated: elements are rotated in pairs."""
    if size % 2:
        return {"head_dim": f"even, not {size}"}
    if rope.kind == "dynamic" and size == 2:
        return {"rope_parameters": "not dynamic for heads of width 2"}
    return {}


def old_keys(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that Transformers 4 reads instead of `rope_parameters`."""
    scaled = {k: v for k, v in parameters.items() if k != "rope_theta"}
    return {
        "rope_theta": parameters["rope_theta"],
        "rope_scaling": None if parameters["rope_type"] == "default" else scaled,
    }
