"""The spelling of labels: marks for missing values, stray white space, near-identical names."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

_MISSING = frozenset({"na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "-", "--", "?"})
# Not removed by str.strip(): a byte order mark, and zero-width characters.
_NO_WIDTH = "\ufeff\u200b\u200c\u200d\u2060\u00ad"
_SHOWN = 3


def is_missing_mark(value: Any) -> bool:
    """Return True for a usual mark of a missing value: NA, N/A, NaN, null, None, - and similar."""
    return isinstance(value, str) and value.strip().lower() in _MISSING


def stripped(text: str) -> str:
    """A text without white space and zero-width characters at its ends."""
    before = None
    while text != before:
        before, text = text, text.strip().strip(_NO_WIDTH)
    return text


def visible(name: str) -> str:
    """A name in quotes; one that looks like another also with its character codes."""
    shown = ascii(name)
    return repr(name) if name.isascii() or not name.isprintable() else f"{name!r} = {shown}"


def warn_of_spelling(rows: Mapping[str, int]) -> list[str]:
    """Warn of names that may be one label in two spellings, or not a label at all.

    Args:
        rows: The number of rows, or words, with each name.
    """
    alike: dict[str, list[str]] = {}
    for name in rows:
        plain = unicodedata.normalize("NFKC", name).casefold()
        for character in _NO_WIDTH:
            plain = plain.replace(character, "")
        alike.setdefault(" ".join(plain.split()), []).append(name)
    twins = [names for names in alike.values() if len(names) > 1]
    warnings = []
    if twins:
        shown = "; ".join(
            " and ".join(f"{visible(name)} ({rows[name]:,})" for name in names)
            for names in twins[:_SHOWN]
        )
        more = f"; and {len(twins) - _SHOWN:,} more" if len(twins) > _SHOWN else ""
        warnings.append(
            "labels that differ only in case, white space or Unicode form are different"
            f" classes: {shown}{more}; use one spelling if they are the same label"
        )
    if marks := _marks(rows):
        shown = ", ".join(f"{name!r} ({rows[name]:,})" for name in marks)
        warnings.append(
            f"{shown}: a common mark for a missing label is trained as a class; if it is not one,"
            " list the other labels in a file: --label-names FILE --on-bad-row drop"
        )
    return warnings


def _marks(rows: Mapping[str, int]) -> list[str]:
    marks = [name for name in rows if is_missing_mark(name)]
    numbers = {name for name in rows if name.isdecimal()}
    # -1, 0 and 1 are bad, neutral and good; -1, 0, 1 and 2 are three classes and a missing label.
    if "-1" in rows and len(numbers) == len(rows) - 1 and numbers != {"0", "1"}:
        marks.append("-1")
    return marks
