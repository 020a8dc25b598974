"""What KFP can keep beside an artifact: its metadata, and metrics.

The launcher refuses null after the upload, so that the step fails; it cannot read NaN and infinity,
which are not JSON; and the metadata store keeps numbers with six decimals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_SMALL = 1e-3  # six decimals leave three digits or fewer of what is below


def of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as metadata: those that are None are left out, small and non-finite numbers are text.

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
    """The metrics that are numbers: a loss may be NaN or infinite."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def check(metadata: Mapping[str, Any], artifact: str) -> None:
    """Check that KFP can keep an artifact's metadata.

    Args:
        metadata: The metadata.
        artifact: The artifact's name, for the message.

    Raises:
        ValueError: With everything that it cannot.
    """
    if problems := list(_problems(metadata, artifact)):
        raise ValueError("metadata that KFP cannot keep: " + "; ".join(problems))


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
