"""Fields of a configuration: a key's default, and which values it may have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

# ACT2FN's names of what `activations.py` computes.
ACTIVATIONS = (
    *("gelu", "gelu_10", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "mish", "quick_gelu"),
    *("relu", "sigmoid", "silu", "swish", "tanh"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """The values that a key may have.

    Attributes:
        accepts: Whether a value of config.json is one of them.
        expected: The same in words.
    """

    accepts: Callable[[Any], bool]
    expected: str


def _json(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _field(default: Any, rule: Rule) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule})


def size(default: int, least: int = 1) -> Any:
    """A whole number, at least 1 unless `least` is given."""
    return _field(default, Rule(accepts=lambda v: _whole(v, least), expected=f"from {least}"))


def optional_size(default: int | None = None, least: int = 1) -> Any:
    """A whole number or null."""
    rule = Rule(accepts=lambda v: v is None or _whole(v, least), expected=f"null or from {least}")
    return _field(default, rule)


def rate(default: float | None) -> Any:
    """A dropout rate in [0, 1); null where the default is null."""
    return _field(
        default,
        Rule(
            accepts=lambda v: (v is None and default is None) or (_number(v) and 0 <= v < 1),
            expected="a rate from 0 to 1",
        ),
    )


def positive(default: float) -> Any:
    """A number above 0."""
    return _field(default, Rule(accepts=lambda v: _number(v) and v > 0, expected="above 0"))


def flag(default: bool) -> Any:
    """True or false."""
    return _field(default, Rule(accepts=lambda v: isinstance(v, bool), expected="true or false"))


def activation(default: str) -> Any:
    """The name of an activation function."""
    return one_of(default, *ACTIVATIONS)


def one_of(default: Any, *values: Any) -> Any:
    """One of the values that are implemented."""
    if len(values) == 1:
        return only(default)
    texts = ", ".join(_json(value) for value in values)
    return _field(
        default,
        Rule(accepts=lambda v: any(_same(v, x) for x in values), expected=f"one of {texts}"),
    )


def only(value: Any) -> Any:
    """A key of which nothing but the default is implemented."""
    return _field(value, Rule(accepts=lambda v: _same(v, value), expected=_json(value)))


def checked(default: Any, accepts: Callable[[Any], bool], expected: str) -> Any:
    """Any other rule."""
    return _field(default, Rule(accepts=accepts, expected=expected))


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)
