"""A table that fits the screen; columns without differences or without room are omitted."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

NOTHING = "-"
_WIDTH = 80  # for a pipe or a file


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        head: The heading.
        cells: The cells, one for each row.
        order: Columns with a higher number are omitted first; 0 for never.
    """

    head: str
    cells: Sequence[str]
    order: int = 0

    @property
    def width(self) -> int:
        """Its widest cell."""
        return max(map(len, [self.head, *self.cells]))

    @property
    def is_shared(self) -> bool:
        """Return True if several rows all have the same cell."""
        return self.order > 0 and len(self.cells) > 1 and len(set(self.cells)) == 1


def table(columns: Sequence[Column], *, wide: bool = False) -> list[str]:
    """Return a table as lines.

    Args:
        columns: The columns, from left to right.
        wide: Whether to show every column, however wide the table becomes.

    Returns:
        The table, followed by the values common to all rows and the names of omitted columns.
    """
    if wide:
        return _aligned(columns)
    shown = [column for column in columns if not column.is_shared]
    shared = [c for c in columns if c.is_shared and c.cells[0] != NOTHING]
    omitted = []
    room = room_of_line()
    while sum(c.width + 2 for c in shown) - 2 > room:
        last = max(shown, key=lambda c: c.order)
        if not last.order:
            break
        shown.remove(last)
        omitted.append(last.head)
    lines = _aligned(shown)
    if shared:
        same = ", ".join(f"{c.head} {cut(c.cells[0], 40)}" for c in shared)
        lines += ["", *wrapped(f"the same in all rows: {same}")]
    if omitted:
        heads = [c.head for c in columns if c.head in omitted]
        note = f"not shown: {', '.join(heads)}; --wide shows all columns"
        lines += [""] * (not shared) + wrapped(note)
    return lines


def _aligned(columns: Sequence[Column]) -> list[str]:
    rows = zip(*([c.head, *c.cells] for c in columns), strict=True)
    widths = [c.width for c in columns]
    return [
        "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def room_of_line() -> int:
    """The number of characters that a line on the screen, or in a file, has room for."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH


def wrapped(text: str) -> list[str]:
    """Return a text as lines for which there is room."""
    room = room_of_line()
    return textwrap.wrap(text, max(room, 20), subsequent_indent="  ", break_on_hyphens=False)


def cut(text: str, longest: int) -> str:
    """Truncate a text to this many characters, ending with "…"."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
