"""What the values of a label column mean: a class, several classes, or a number.

A column is read once and each different value in it is looked at once, whatever the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import (
    by_number_then_name,
    check_known,
    clean,
    name_of,
)
from kfp_finetune.components.tasks.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    any_separator,
    as_number,
    infer_problem_type,
    list_separator,
)

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.token_classification.reading import TagReader

FLAG = "--label-names"
_LARGEST = 3.4e38  # float32


@dataclass(frozen=True)
class Labels:
    """The meaning of every different value of a label column.

    Attributes:
        problem_type: One of `PROBLEM_TYPES`.
        names: The label of id i is `names[i]`; empty for regression.
        targets: For every value, in the order they were given: the id, the ids in ascending order,
            or the number; None for a value that stands for no label at all.
        note: How the problem type was found, as a sentence; empty where the user said it.
        invalid: Why rows with a value cannot be used, by the value's place in the order.
        of_words: Where every word has a label of its own, what reads them off a row; the targets
            then say which labels occur in it.
    """

    problem_type: str
    names: list[str]
    targets: list[int | list[int] | float | None]
    note: str = ""
    invalid: dict[int, str] = field(default_factory=dict)
    of_words: TagReader | None = None

    @property
    def several(self) -> bool:
        """Whether a value stands for any number of labels."""
        return self.problem_type not in (SINGLE_LABEL, REGRESSION)


def understand_labels(
    values: Sequence[Any],
    problem_type: str = "auto",
    *,
    columns: Sequence[str] = ("label",),
    declared: Sequence[str] | None = None,
    known: Sequence[str] | None = None,
    known_from: str = FLAG,
    rows_of: Callable[[Sequence[int]], str] = lambda numbers: "",
) -> Labels:
    """Find out what the different values of a label column mean.

    Args:
        values: Every different value: a text, a number, a list (as a tuple), None; or, of several
            columns, a tuple of their values.
        problem_type: One of `PROBLEM_TYPES`, or "auto".
        columns: The label column; several mean one 0/1 column per label.
        declared: The names behind whole numbers, where the data declares them.
        known: All labels there may be, in their order: from a file, or from a trained model. Whole
            numbers count them from 0, unless the names are whole numbers themselves.
        known_from: Where the known ones come from, to look at if one is missing.
        rows_of: Says in which rows values stand, given their places in `values`; is put behind the
            column in a message.

    Returns:
        The meaning of each. Labels come in the order of `known` or `declared`, else by number
        where all are numbers, else by name.

    Raises:
        InputError: If a value cannot be a label of that type, or is not a known one.
    """
    where = "column " + ", ".join(map(repr, columns))
    if len(columns) > 1:
        _check_for_several(problem_type, known if known_from == FLAG else None, where)
        return _from_indicators(values, columns, where, known, known_from, rows_of)
    cleaned = [clean(value) for value in values]
    present = [value for value in cleaned if value is not None]
    if problem_type == "auto":
        problem_type, separator, note = infer_problem_type(
            present, known or (), has_names=bool(declared or known)
        )
    else:
        several = problem_type == MULTI_LABEL
        separator = (
            list_separator(present, known or ()) or any_separator(present) if several else None
        )
        note = ""
    if problem_type == REGRESSION:
        if known:
            raise InputError(
                "label names are given, and the labels are numbers to be predicted",
                where="label_names",
                expected="label names only where the labels are classes",
                remedy="leave --label-names out, or --problem-type single_label_classification",
            )
        numbers = _each(lambda value: _number(value, where), cleaned, rows_of)
        return Labels(REGRESSION, [], numbers, note)
    if problem_type == SINGLE_LABEL:
        lists = [i for i, value in enumerate(cleaned) if isinstance(value, tuple)]
        if lists:
            raise InputError(
                f"{list(cleaned[lists[0]])!r} is a list of labels",
                where=where + rows_of(lists),
                expected="one label per row",
                remedy="--problem-type multi_label_classification",
            )
        parts = [None if value is None else (value,) for value in cleaned]
    else:
        parts = [_split(value, separator) for value in cleaned]
    listed = list(known or declared or ())
    named = _each(
        lambda p: None if p is None else [name_of(v, listed, where) for v in p], parts, rows_of
    )
    names = listed or sorted(
        {name for group in named if group is not None for name in group}, key=by_number_then_name
    )
    ids = {name: i for i, name in enumerate(names)}
    if listed:
        unknown = [i for i, group in enumerate(named) if any(n not in ids for n in group or ())]
        check_known(named, ids, where + rows_of(unknown) if unknown else where, known_from)
    groups = [None if group is None else sorted({ids[name] for name in group}) for group in named]
    if problem_type == SINGLE_LABEL:
        return Labels(SINGLE_LABEL, names, [g[0] if g else None for g in groups], note)
    return Labels(MULTI_LABEL, names, list(groups), note)


def _each(
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


def _split(value: Any, separator: str | None) -> tuple[Any, ...] | None:
    if value is None or isinstance(value, tuple):
        return value
    if isinstance(value, str) and separator:
        return tuple(part.strip() for part in value.split(separator) if part.strip())
    return (value,)


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    number = as_number(value)
    if number is not None and abs(number) > _LARGEST:
        raise InputError(
            f"{number:g} is too large for a number to be predicted",
            where=where,
            expected=f"numbers up to {_LARGEST:.2g}, which is what float32 holds",
            remedy="mend the value, or scale the numbers",
        )
    if number is None or not math.isfinite(number):
        raise InputError(
            f"{value!r} is not a number",
            where=where,
            expected="a finite number per row, for regression",
            remedy="mend the value, or --problem-type single_label_classification",
        )
    return number


def _check_for_several(problem_type: str, known: Sequence[str] | None, where: str) -> None:
    if problem_type not in ("auto", MULTI_LABEL):
        raise InputError(
            f"the problem type is {problem_type}, and there are several label columns",
            where=where,
            expected="several label columns only for multi_label_classification",
            remedy="name one --label-column, or leave --problem-type out",
        )
    if known:
        raise InputError(
            "label names are given, and several label columns, whose names are the labels",
            where=where,
            expected="label names only for one label column",
            remedy="leave --label-names out",
        )


def _from_indicators(
    values: Sequence[Any],
    columns: Sequence[str],
    where: str,
    known: Sequence[str] | None,
    known_from: str,
    rows_of: Callable[[Sequence[int]], str],
) -> Labels:
    """One 0/1 column per label: the columns' names are the labels."""
    names = list(known or columns)
    ids = {name: i for i, name in enumerate(names)}
    check_known([columns], ids, where, known_from)
    of_column = [ids[column] for column in columns]

    def marked(cells: Sequence[Any]) -> list[int] | None:
        marks = [_indicator(cell, column) for cell, column in zip(cells, columns, strict=True)]
        if any(mark is None for mark in marks):
            return None
        return sorted(i for i, mark in zip(of_column, marks, strict=True) if mark)

    targets = _each(marked, values, rows_of)
    note = f"multi-label: one 0/1 column for each of {len(columns)} labels"
    return Labels(MULTI_LABEL, names, targets, note)


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
