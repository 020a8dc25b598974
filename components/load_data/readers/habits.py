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
        self._width = width
        self._rows = 0
        self._values: list[Counter[str] | None] = [Counter() for _ in range(width)]
        self._empty = [False] * width
        self._spaced = [False] * width
        self._numbers = [True] * width

    def learn(self, line: str) -> None:
        """Learn from a line, if it has the header's number of cells."""
        cells = line.split(self._delimiter)
        if len(cells) != self._width:
            return
        self._rows += 1
        for i, cell in enumerate(cells):
            self._empty[i] |= not cell
            self._spaced[i] |= cell.startswith(" ")
            self._numbers[i] = self._numbers[i] and _is_number(cell)
            values = self._values[i]
            if values is not None:
                values[cell] += 1
                if len(values) > _MOST_VALUES:
                    self._values[i] = None

    def are_rows(self, lines: Iterable[str]) -> bool | None:
        """Return True if each line looks like a row, None if there is no evidence either way."""
        found = [self._is_row(line) for line in lines]
        if False in found:
            return False
        return None if None in found else True

    def _is_row(self, line: str) -> bool | None:
        cells = line.split(self._delimiter)
        if len(cells) != self._width:
            return False
        evidence = True if self._delimiter in "\t|" else None
        for i, cell in enumerate(cells):
            odd = (not cell and not self._empty[i]) or (cell[:1] == " " and not self._spaced[i])
            if self._rows and odd and '"' not in cell:
                return False
            if self._rows < _ENOUGH_ROWS:
                continue
            values = self._values[i]
            if values is not None and 2 * len(values) <= self._rows:
                alike = cell.strip('"') in values
                if not alike and 100 * sum(n == 1 for n in values.values()) > self._rows:
                    continue  # new values still appear (Good-Turing estimate)
            elif self._numbers[i]:
                alike = _is_number(cell.strip('"'))
            else:
                continue
            if alike:
                evidence = True
            elif '"' not in cell:  # the quote in question makes its own cell look odd
                return False
        return evidence


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
