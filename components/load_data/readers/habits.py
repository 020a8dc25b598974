"""The typical cells of each column of a delimited file, to decide if a line looks like a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_MOST_VALUES = 2_000
_ENOUGH_ROWS = 8


class Habits:
    """The typical cells of each column, learned from lines without quotes."""

    def __init__(self, delimiter: str, width: int) -> None:
        self._delimiter = delimiter
        self._rows = 0
        self._columns = [_Column() for _ in range(width)]

    def learn(self, line: str) -> None:
        """Learn from a line, if it has the header's number of cells."""
        cells = line.split(self._delimiter)
        if len(cells) == len(self._columns):
            self._rows += 1
            for cell, column in zip(cells, self._columns, strict=True):
                column.learn(cell)

    def are_rows(self, lines: Iterable[str]) -> bool | None:
        """Return True if each line looks like a row, None if there is no evidence either way."""
        verdicts = {self._is_row(line) for line in lines}
        return False if False in verdicts else None if None in verdicts else True

    def _is_row(self, line: str) -> bool | None:
        cells = line.split(self._delimiter)
        if len(cells) != len(self._columns):
            return False
        evidence = True if self._delimiter in "\t|" else None
        for cell, column in zip(cells, self._columns, strict=True):
            has_quote = '"' in cell  # the quote in question makes its own cell look odd
            if self._rows and not has_quote and column.is_odd(cell):
                return False
            typical = column.is_typical(cell.strip('"'), self._rows)
            if typical is False and not has_quote:
                return False
            evidence = evidence or typical or None
        return evidence


class _Column:
    def __init__(self) -> None:
        self._values: Counter[str] | None = Counter()  # None if there are many
        self._empty = self._spaced = False
        self._numbers = True

    def learn(self, cell: str) -> None:
        self._empty |= not cell
        self._spaced |= cell.startswith(" ")
        self._numbers = self._numbers and _is_number(cell)
        if self._values is not None:
            self._values[cell] += 1
            if len(self._values) > _MOST_VALUES:
                self._values = None

    def is_odd(self, cell: str) -> bool:
        return (not cell and not self._empty) or (cell[:1] == " " and not self._spaced)

    def is_typical(self, cell: str, rows: int) -> bool | None:
        """Compare a cell with those of a number of rows; return None if that is no evidence."""
        if rows < _ENOUGH_ROWS:
            return None
        if self._values is None or 2 * len(self._values) > rows:
            return _is_number(cell) if self._numbers else None
        new = sum(count == 1 for count in self._values.values())
        still_new = 100 * new > rows  # new values still appear (Good-Turing estimate)
        return cell in self._values or (None if still_new else False)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
