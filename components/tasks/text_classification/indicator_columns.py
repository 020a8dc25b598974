"""Labels in separate columns: one column of 0 and 1 for each label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import check_known, clean
from kfp_finetune.components.tasks.labels import FLAG, LabelContext
from kfp_finetune.components.tasks.text_classification.problem_types import MULTI_LABEL


def convert_each(
    convert: Callable[[Any], Any], values: Sequence[Any], rows_of: Callable[[Sequence[int]], str]
) -> list[Any]:
    """Convert values; an error names the rows that hold the value."""
    converted = []
    for i, value in enumerate(values):
        try:
            converted.append(convert(value))
        except InputError as error:
            error.where += rows_of([i])
            raise
    return converted


def check_for_several(problem_type: str, context: LabelContext) -> None:
    """Check that several label columns are allowed.

    Raises:
        InputError: If the problem type has one label column, or label names are given.
    """
    if problem_type not in ("auto", MULTI_LABEL):
        raise InputError(
            f"the problem type is {problem_type}, but there are several label columns",
            where=context.where,
            expected=f"several label columns only for {MULTI_LABEL}",
            remedy="name one --label-column, or omit --problem-type",
        )
    if context.known and context.known_from == FLAG:
        raise InputError(
            "label names are given, but the names of the label columns are the labels",
            where=context.where,
            expected="label names only for one label column",
            remedy="omit --label-names",
        )


def read_indicators(
    values: Sequence[Any], context: LabelContext
) -> tuple[list[str], list[list[int] | None]]:
    """The label names, and the ids of the labels that are marked in each row.

    Args:
        values: The distinct rows of 0 and 1.
        context: The columns, whose names are the labels, and the known labels.

    Raises:
        InputError: If a cell is neither 0 nor 1, or a column is not a known label.
    """
    columns = context.columns
    names = list(context.known or columns)
    ids = {name: i for i, name in enumerate(names)}
    check_known([columns], ids, context.where, context.known_from)
    of_column = [ids[column] for column in columns]

    def marked(cells: Sequence[Any]) -> list[int] | None:
        marks = [_indicator(cell, column) for cell, column in zip(cells, columns, strict=True)]
        if any(mark is None for mark in marks):
            return None
        return sorted(i for i, mark in zip(of_column, marks, strict=True) if mark)

    return names, convert_each(marked, values, context.rows_of)


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
        expected="0 or 1 in each of several label columns",
        remedy="name one --label-column, or columns of 0 and 1",
    )
