"""Labels in columns of their own: one column of 0 and 1 for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import check_known, clean
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL


def each(
    convert: Callable[[Any], Any], values: Sequence[Any], rows_of: Callable[[Sequence[int]], str]
) -> list[Any]:
    """Convert values; an error says in which rows the value stands."""
    converted = []
    for i, value in enumerate(values):
        try:
            converted.append(convert(value))
        except InputError as error:
            error.where += rows_of([i])
            raise
    return converted


def check_for_several(problem_type: str, known: Sequence[str] | None, where: str) -> None:
    """Check that there may be several label columns.

    Raises:
        InputError: If the problem type has one, or the columns' names are not to be the labels.
    """
    if problem_type not in ("auto", MULTI_LABEL):
        raise InputError(
            f"the problem type is {problem_type}, and there are several label columns",
            where=where,
            expected="several label columns only for multi_label_classification",
            remedy="name one --label-column, or omit --problem-type",
        )
    if known:
        raise InputError(
            "label names are given, and several label columns, whose names are the labels",
            where=where,
            expected="label names only for one label column",
            remedy="omit --label-names",
        )


def read_indicators(
    values: Sequence[Any],
    columns: Sequence[str],
    where: str,
    known: Sequence[str] | None,
    known_from: str,
    rows_of: Callable[[Sequence[int]], str],
) -> tuple[list[str], list[list[int] | None]]:
    """The names of labels of which each has a column, and the ids of those that are marked.

    Args:
        values: The different rows of 0 and 1.
        columns: The columns, whose names are the labels.
        where: The columns, for messages.
        known: All labels there may be; None: the columns' names.
        known_from: Where the known ones come from.
        rows_of: Says in which rows values stand, given their places.

    Raises:
        InputError: If a cell is neither 0 nor 1, or a column is no known label.
    """
    names = list(known or columns)
    ids = {name: i for i, name in enumerate(names)}
    check_known([columns], ids, where, known_from)
    of_column = [ids[column] for column in columns]

    def marked(cells: Sequence[Any]) -> list[int] | None:
        marks = [_indicator(cell, column) for cell, column in zip(cells, columns, strict=True)]
        if any(mark is None for mark in marks):
            return None
        return sorted(i for i, mark in zip(of_column, marks, strict=True) if mark)

    return names, each(marked, values, rows_of)


def _indicator(cell: Any, column: str) -> bool | None:
    cell = clean(cell)
    if cell is None:
        return None
    text = str(cell).strip().lower()
    if text in ("0", "1", "0.0", "1.0", "false", "true"):
        return text in ("1", "1.0", "true")
    raise InputError(
        f"{cell!r} is neither 0 nor 1",
        where=f"column {column!r}",
        expected="0 or 1 in every one of several label columns",
        remedy="name one --label-column, or columns of 0 and 1",
    )
