"""Counts with their noun, for messages."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """A number with its noun: "1 row", "2,000 rows", "0.5 epochs".

    Args:
        number: The count.
        noun: The noun in the singular, with a regular plural.
    """
    text = f"{number:,}" if isinstance(number, int) else f"{number:.6g}"
    return f"{text} {noun}" + "s" * (number != 1)
