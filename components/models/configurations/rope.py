"""Rotary position embeddings as a config.json describes them, in its old keys and its new ones.

Transformers 4 has `rope_theta` and `rope_scaling`, Transformers 5 one dictionary `rope_parameters`.
Both are read, and both are written.
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
        factor: By which the length may grow.
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
    """The field `rope_parameters` of a configuration; `with_rope_parameters` fills it."""
    return checked(None, lambda value: value is None or is_rope(value), EXPECTED)


def is_rope(value: Any) -> bool:
    """Whether a value is a dictionary of implemented rotary embeddings."""
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
    """A config.json whose `rope_parameters` are complete, as Transformers 5 completes them.

    Args:
        given: config.json; `rope_scaling` has precedence over `rope_parameters`, and a `rope_theta`
            in the dictionary over one beside it.
        default_theta: Transformers' for this family.
    """
    found = given.get("rope_scaling") or given.get("rope_parameters") or {}
    beside = {
        "rope_theta": given.get("rope_theta", default_theta),
        "partial_rotary_factor": given.get("partial_rotary_factor"),
    }
    return {**given, "rope_parameters": complete(found, beside)}


def complete(found: Any, beside: Mapping[str, Any]) -> Any:
    """A dictionary of rotary embeddings with what stands beside it, under Transformers 5's names.

    Args:
        found: The dictionary; what is none is returned as it is, to be refused.
        beside: Values for the keys that it lacks; None: no value.
    """
    if not isinstance(found, Mapping):
        return found
    kind = found.get("rope_type", found.get("type", "default"))
    defaults = {key: value for key, value in beside.items() if value is not None}
    return {**defaults, **{k: v for k, v in found.items() if k != "type"}, "rope_type": kind}


def problems(rope: Rope, size: int) -> dict[str, str]:
    """A problem if heads of this width cannot be turned: pairs of elements are."""
    if size % 2:
        return {"head_dim": f"even, and it is {size}"}
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
