"""The header of a table: its first row, and column names for a table without a header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.source import unique_names
from kfp_finetune.components.load_data.readers.split_lines import Dialect
from kfp_finetune.components.tasks.usual_names import is_usual
from kfp_finetune.components.tasks.values import as_number

_LONG, _MANY_WORDS = 60, 6
_ENOUGH_ROWS = 8
_MOST_COLUMNS = 5_000


def first_row(where: str, head: list[str], delimiter: str, quoting: str) -> list[str]:
    """The cells of the first row.

    Args:
        where: The file.
        head: Its first lines, not all blank.
        delimiter: Between cells.
        quoting: "auto", "minimal" or "none".

    Raises:
        InputError: If quoting is "minimal" and a quote of the row is not closed.
    """
    row = next(Dialect(delimiter, quoting != "none").rows(line + "\n" for line in head))
    if not row.problem:
        return row.cells
    if quoting == "auto":
        return row.lines[0].split(delimiter)
    raise InputError(
        "the header has a quote that is not closed at the end of its cell",
        where=f"{where}, header",
        expected='closed quotes, doubled inside quoted cells: "say ""hi"""',
        remedy="repair the header, or --quoting none",
    )


def column_names(
    where: str, first: list[str], given: tuple[str, ...] | None
) -> tuple[list[str], tuple[str, ...]]:
    """The names of the columns, and notes about them.

    Args:
        where: The file.
        first: The cells of its first row.
        given: The user's names for a file without a header.

    Raises:
        InputError: If the user's names do not fit the first row, or are the first row; if there
            are too many columns.
    """
    if len(first) > _MOST_COLUMNS:
        raise InputError(
            f"the table has {len(first):,} columns",
            where=where,
            expected=f"at most {_MOST_COLUMNS:,}",
            remedy="check --delimiter, or keep only the text and label columns",
        )
    if given is None:
        header = [name.strip() for name in first]
        columns, notes = unique_names(header, where)
        if _is_long(header):
            notes += (
                f"{where}: the first line is read as the column names but looks like a row; if"
                " it is a row, name the columns with --column-names",
            )
        return columns, notes
    if len(given) != len(first):
        shown = ", ".join(repr(cell[:40]) for cell in first[:20])
        raise InputError(
            f"column_names has {counted(len(given), 'name')}, but the first row has"
            f" {counted(len(first), 'cell')}: {shown}",
            where=where,
            expected="one name per cell",
            remedy="--column-names " + ",".join(f"column_{i + 1}" for i in range(len(first))),
        )
    if [name.strip() for name in first] == list(given):
        raise InputError(
            "the first row already has the column names that column_names gives",
            where=where,
            expected="column_names only for a file without a header",
            remedy="omit --column-names",
        )
    return list(given), ()


def names_for(first: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Suggest names for the columns of a table whose first line is a row.

    The first line is a row if no cell is a usual column name, and a cell is a number in a column of
    numbers, or one of the few values of its column. In a table of few rows it is also a row if a
    cell is as long as a text. (In a larger table, a long cell may be a survey question that names
    its column.)

    Args:
        first: The cells of the first line.
        rows: The cells of some later rows.

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
    if any(map(_is_value, cells, columns)) or (few and _is_long(cells)):
        return _suggested(cells, columns)
    return ()


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


def _is_long(cells: Sequence[str]) -> bool:
    """Return True if a cell is too long for a name."""
    return any(len(cell) > _LONG or len(cell.split()) > _MANY_WORDS for cell in cells)


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
