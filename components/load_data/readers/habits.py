"""The typical cells of each column of a delimited file, to decide if a line looks like a row."""

from __future__ import annotations

from collections.abc import Sequence

from kfp_finetune.components.tasks.values import as_number

_MOST_VALUES = 2_000
_ENOUGH_ROWS = 8


class Habits:
    """The typical cells of each column, learned from lines without quotes."""

    def __init__(self, delimiter: str, width: int) -> None:
        self._delimiter = delimiter
        self._columns = [_Column() for _ in range(width)]

    def learn(self, cells: Sequence[str]) -> None:
        """Learn from a row of the right number of cells."""
        for cell, column in zip(cells, self._columns, strict=True):
            column.learn(cell)

    def are_rows(self, lines: Sequence[str]) -> bool | None:
        """Return True if each line looks like a row, None if there is no evidence either way."""
        verdicts = {self._is_row(line) for line in lines}
        return False if False in verdicts else None if None in verdicts else True

    def _is_row(self, line: str) -> bool | None:
        """Return False if the number of cells is wrong, or a cell does not fit into its column.

        True needs evidence: a cell that is typical of its column, or a tab or a bar as delimiter,
        which texts rarely contain.
        """
        cells = line.split(self._delimiter)
        if len(cells) != len(self._columns):
            return False
        evidence = len(cells) > 1 and self._delimiter in "\t|"
        for cell, column in zip(cells, self._columns, strict=True):
            content = cell.strip('"')
            if content == cell and not column.fits(cell):  # a quote makes its own cell look odd
                return False
            evidence = evidence or column.is_typical(content)
        return evidence or None


class _Column:
    def __init__(self) -> None:
        self._rows = 0
        self._kinds: set[str] = set()
        self._values: set[str] = set()
        self._once: set[str] = set()  # the values that occur once

    def learn(self, cell: str) -> None:
        self._rows += 1
        self._kinds.add(_kind(cell))
        if cell in self._values:
            self._once.discard(cell)
        elif len(self._values) <= _MOST_VALUES:
            self._values.add(cell)
            self._once.add(cell)

    def fits(self, cell: str) -> bool:
        """Return False for a cell of another kind, or a new value where none are to be expected."""
        if self._rows and _kind(cell) not in self._kinds:
            return False
        still_new = 100 * len(self._once) > self._rows  # new values appear (Good-Turing estimate)
        return still_new or not self._has_few_values() or cell in self._values

    def is_typical(self, cell: str) -> bool:
        """Return True for one of the few values of a column, or a number in a column of numbers."""
        if self._has_few_values():
            return cell in self._values
        return self._rows >= _ENOUGH_ROWS and self._kinds == {_kind(cell)} == {"number"}

    def _has_few_values(self) -> bool:
        few = len(self._values) <= min(_MOST_VALUES, self._rows / 2)
        return few and self._rows >= _ENOUGH_ROWS


def _kind(cell: str) -> str:
    """One of "number" and "text"; "" for an empty cell, " " if it begins with a space."""
    if not cell or cell[0] == " ":
        return cell[:1]
    return "text" if as_number(cell) is None else "number"
