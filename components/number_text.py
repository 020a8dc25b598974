"""Format numbers for people."""

from __future__ import annotations


def rate_text(value: float) -> str:
    """A learning rate: 5e-05, 0.001, 0."""
    return f"{value:.3g}"


def number_text(value: float) -> str:
    """A loss or a score: three decimals, or more if these would be zeros."""
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def percent_text(value: float) -> str:
    """A share: 92.1%."""
    return f"{value:.1%}"


def count_text(value: float) -> str:
    """A count: 12,345."""
    return f"{value:,.0f}"


def amount_text(value: float) -> str:
    """A value in the unit of the labels: 0.412, 13,500."""
    if 1e3 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.1f}" if 1e2 <= abs(value) < 1e3 else number_text(value)


def edge_text(value: float) -> str:
    """The edge of a range, to four digits: 2.8, 3.893, 123500."""
    return f"{float(f'{value:.4g}'):g}"
