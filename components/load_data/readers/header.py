"""Detect if the first line of a table is a header, and suggest column names if it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.usual_names import is_usual
from kfp_finetune.components.tasks.values import as_number

_LONG, _MANY_WORDS = 60, 6
_ENOUGH_ROWS = 8


def names_for(first: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Suggest names for the columns of a table whose first line is a row.

    The first line is a row if no cell is a usual column name, and a cell is a number in a column of
    numbers, or one of the few values of its column. In a table of few rows it is also a row if a
    cell is as long as a text. (In a larger table, a long cell may be a survey question that names
    its column.)

    Args:
        first: The cells of the first line.
        rows: The cells of some later lines, of the same number.

    Returns:
        A name for every column; none if the first line names them.
    """
    cells = [cell.strip() for cell in first]
    if any(map(is_usual, cells)) or not any(cells):
        return ()
    if cells == [str(i) for i in range(len(cells))]:  # pandas' names for columns without names
        return ()
    columns = [[row[i].strip() for row in rows] for i in range(len(cells))]
    few = len(rows) < _ENOUGH_ROWS
    if any(map(_is_value, cells, columns)) or (few and is_long(cells)):
        return _suggested(cells, columns)
    return ()


def is_long(cells: Sequence[str]) -> bool:
    """Return True if a cell is too long for a name."""
    return any(len(cell) > _LONG or len(cell.split()) > _MANY_WORDS for cell in cells)


def no_names(where: str, first: Sequence[str], names: Sequence[str]) -> InputError:
    """The error for a table whose columns have no names.

    Args:
        where: The file.
        first: The cells of its first line.
        names: Suggested column names.
    """
    shown = ", ".join(repr(cell[:40]) for cell in first[:6]) + ", ..." * (len(first) > 6)
    return InputError(
        f"the first line looks like a row, not like column names: {shown}",
        where=where,
        expected="a first line that names the columns, or --column-names in the file's order",
        remedy="--column-names " + ",".join(names),
    )


def _is_value(cell: str, column: Sequence[str]) -> bool:
    if len(column) < _ENOUGH_ROWS or not cell:
        return False
    counts = Counter(column)
    numbers = as_number(cell) is not None and all(as_number(v) is not None for v in column if v)
    return numbers or (counts[cell] > 1 and 2 * len(counts) <= len(column))


def _suggested(first: Sequence[str], columns: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Suggest one label column, one or two text columns, and numbered names for the others."""
    values = [[cell, *column] for cell, column in zip(first, columns, strict=True)]
    words = [sum(len(cell.split()) for cell in column) / len(column) for column in values]
    longest = max(range(len(values)), key=lambda i: words[i])
    texts = [i for i in range(len(values)) if words[i] > max(2, words[longest] / 3)] or [longest]
    kinds = [len(set(column)) for column in values]
    others = [i for i in range(len(values)) if i not in texts]
    names = [f"column_{i + 1}" for i in range(len(values))]
    if len(texts) == 2:
        names[texts[0]], names[texts[1]] = "sentence1", "sentence2"
    else:
        names[longest] = "text"
    if others:
        label = min(others, key=lambda i: (kinds[i] < 2, kinds[i]))
        numbers = [as_number(cell) for cell in values[label]]
        fractions = None not in numbers and any("." in cell for cell in values[label])
        names[label] = "score" if fractions else "label"
    return tuple(names)
