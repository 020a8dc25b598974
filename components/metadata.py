"""Artifact metadata and metrics in a form that KFP can store.

KFP's launcher rejects null after the upload, which fails the step; it cannot read NaN and infinity,
which are not JSON; and the metadata store keeps only six decimals of a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_SMALL = 1e-3  # smaller numbers keep three digits or fewer in six decimals


def of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert values to metadata: None is omitted, and small or non-finite numbers become text.

    Args:
        values: Text, numbers, booleans, None, and sequences and mappings of these.
    """
    return {name: _kept(value) for name, value in values.items() if value is not None}


def _kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return of(value)
    if isinstance(value, list | tuple):
        return [_kept(item) for item in value if item is not None]
    if isinstance(value, float) and (not math.isfinite(value) or 0 < abs(value) < _SMALL):
        return f"{value:g}"
    return value


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are finite: a loss may be NaN or infinite."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def check(metadata: Mapping[str, Any], artifact: str) -> None:
    """Check that KFP can store an artifact's metadata.

    Args:
        metadata: The metadata.
        artifact: The artifact's name, for the message.

    Raises:
        ValueError: Listing everything that it cannot store.
    """
    if problems := list(_problems(metadata, artifact)):
        raise ValueError("metadata that KFP cannot store: " + "; ".join(problems))


def _problems(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(name, str):
                yield from _problems(inner, f"{where}.{name}")
            else:
                yield f"{where} has the key {name!r}"
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _problems(inner, f"{where}[{number}]")
    elif not isinstance(value, str | bool | int | float):
        yield f"{where} is {value!r}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where} is {value}"
