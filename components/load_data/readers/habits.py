"""The typical cells of each column of a delimited file, to decide if a line looks like a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kfp_finetune.components.tasks.values import as_number

_MOST_VALUES = 2_000
_ENOUGH_ROWS = 8
_ROWS_PER_VALUE = 5  # in a column of few values


class Habits:
    """The typical cells of each column, learned from lines without quotes."""

    def __init__(self, delimiter: str, width: int) -> None:
        self._delimiter = delimiter
        self._columns = [_Column() for _ in range(width)]

    def learn(self, cells: Sequence[str]) -> None:
        """Learn from a row of the right number of cells."""
        for cell, column in zip(cells, self._columns, strict=True):
            column.learn(cell)

    def are_rows(self, lines: Iterable[str]) -> bool | None:
        """Return True if each line looks like a row, None if there is no evidence either way."""
        verdicts = {self._is_row(line) for line in lines}
        return False if False in verdicts else None if None in verdicts else True

    def _is_row(self, line: str) -> bool | None:
        """Return False if the number of cells is wrong, or a cell is odd in its column.

        True needs evidence: a cell that is typical of its column, or a tab or a bar as delimiter,
        which texts rarely contain.
        """
        cells = line.split(self._delimiter)
        if len(cells) != len(self._columns):
            return False
        evidence = len(cells) > 1 and self._delimiter in "\t|"
        for cell, column in zip(cells, self._columns, strict=True):
            typical = column.is_typical(cell.strip('"'))
            if typical is False and '"' not in cell:  # a quote makes its own cell look odd
                return False
            evidence = evidence or typical is True
        return evidence or None


class _Column:
    def __init__(self) -> None:
        self._rows = 0
        self._kinds: set[str] = set()
        self._values: set[str] = set()

    def learn(self, cell: str) -> None:
        self._rows += 1
        self._kinds.add(_kind(cell))
        if len(self._values) <= _MOST_VALUES:
            self._values.add(cell)

    def is_typical(self, cell: str) -> bool | None:
        """Compare a cell with those of a column of few values, of numbers, or of other kinds.

        Returns:
            True for one of the few values, or a number among numbers only; False for a new value or
            another kind; else None.
        """
        enough = self._rows >= _ENOUGH_ROWS
        if enough and len(self._values) <= min(_MOST_VALUES, self._rows / _ROWS_PER_VALUE):
            return cell in self._values
        if self._rows and _kind(cell) not in self._kinds:
            return False
        return True if enough and self._kinds == {"number"} else None


def _kind(cell: str) -> str:
    """One of "number" and "text"; "" for an empty cell, " " if it begins with a space."""
    if not cell or cell[0] == " ":
        return cell[:1]
    return "text" if as_number(cell) is None else "number"
