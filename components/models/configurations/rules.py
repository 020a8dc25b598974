"""Fields of a configuration: the default and the supported values of each key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeGuard

# More than in any published encoder.
MOST_LAYERS = 1_000
_MOST = 2**31 - 1
# The range of float32, in which the models compute.
_SMALLEST, _LARGEST = 1.2e-38, 3.4e38
# ACT2FN's names of the functions in `activations.py`.
ACTIVATIONS = (
    *("gelu", "gelu_10", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "mish", "quick_gelu"),
    *("relu", "sigmoid", "silu", "swish", "tanh"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """The supported values of a key.

    Attributes:
        accepts: Returns True for a supported value of config.json.
        expected: The supported values in words.
    """

    accepts: Callable[[Any], bool]
    expected: str


def _json(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _field(default: Any, rule: Rule) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule})


def size(default: int, least: int = 1) -> Any:
    """A whole number, at least 1 unless `least` is given."""
    rule = Rule(accepts=lambda v: is_whole(v, least), expected=f"from {least} to {_MOST:,}")
    return _field(default, rule)


def layers(default: int) -> Any:
    """A number of layers."""
    return _field(default, Rule(accepts=is_depth, expected=f"from 1 to {MOST_LAYERS:,}"))


def optional_size(default: int | None = None, least: int = 1) -> Any:
    """A whole number or null."""
    rule = Rule(
        accepts=lambda v: v is None or is_whole(v, least),
        expected=f"null or from {least} to {_MOST:,}",
    )
    return _field(default, rule)


def rate(default: float | None) -> Any:
    """A dropout rate in [0, 1); null if the default is null."""
    return _field(
        default,
        Rule(
            accepts=lambda v: (v is None and default is None) or (is_number(v) and 0 <= v < 1),
            expected="a rate from 0 to 1",
        ),
    )


def positive(default: float) -> Any:
    """A number above 0."""
    return _field(default, Rule(accepts=is_positive, expected="above 0, in float32's range"))


def flag(default: bool) -> Any:
    """True or false."""
    return _field(default, Rule(accepts=lambda v: isinstance(v, bool), expected="true or false"))


def activation(default: str) -> Any:
    """The name of an activation function."""
    return one_of(default, *ACTIVATIONS)


def one_of(default: Any, *values: Any) -> Any:
    """One of the implemented values."""
    if len(values) == 1:
        return only(default)
    texts = ", ".join(_json(value) for value in values)
    return _field(
        default,
        Rule(accepts=lambda v: any(_same(v, x) for x in values), expected=f"one of {texts}"),
    )


def only(value: Any) -> Any:
    """A key for which only the default is implemented."""
    return _field(value, Rule(accepts=lambda v: _same(v, value), expected=_json(value)))


def checked(default: Any, accepts: Callable[[Any], bool], expected: str) -> Any:
    """Any other rule."""
    return _field(default, Rule(accepts=accepts, expected=expected))


def is_whole(value: Any, least: int, most: int = _MOST) -> TypeGuard[int]:
    """Return True if a value is a whole number within limits."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_depth(value: Any) -> TypeGuard[int]:
    """Return True if a value can be a number of layers."""
    return is_whole(value, 1, MOST_LAYERS)


def is_number(value: Any) -> TypeGuard[float]:
    """Return True if a value is a finite number in float32's range."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and -_LARGEST <= value <= _LARGEST


def is_positive(value: Any) -> TypeGuard[float]:
    """Return True if a value is above 0, also in float32."""
    return is_number(value) and value >= _SMALLEST


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)
