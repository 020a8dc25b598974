"""Numbers of things, as people write them."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """A number with its noun: "1 row", "2,000 rows", "0.5 epochs".

    Args:
        number: How many.
        noun: In the singular, one that takes an s.
    """
    text = f"{number:,}" if isinstance(number, int) else f"{number:.6g}"
    return f"{text} {noun}" + "s" * (number != 1)
