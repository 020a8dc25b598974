"""Understand a label column: one class, several classes, or a number.

The column is read once, and each distinct value is looked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import (
    by_number_then_name,
    check_known,
    clean,
    is_whole,
    name_of,
    refuse_numbers,
    rows_of_names,
    unnamed_marks,
)
from kfp_finetune.components.tasks.label_spelling import stripped, visible, warn_of_spelling
from kfp_finetune.components.tasks.labels import FLAG, LabelContext, Labels
from kfp_finetune.components.tasks.text_classification.cells import Cells, number_of, read_cells
from kfp_finetune.components.tasks.text_classification.indicator_columns import (
    check_for_several,
    convert_each,
    read_indicators,
)
from kfp_finetune.components.tasks.text_classification.inference import resolve_problem_type
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)


def understand_labels(
    values: Sequence[Any], problem_type: str = "auto", context: LabelContext | None = None
) -> Labels:
    """Find the meaning of every distinct value of a label column.

    Args:
        values: A text, a number, a list (as a tuple) or None; with several columns, a tuple of
            their values.
        problem_type: One of text classification's, or "auto".
        context: Where the labels come from; None: an unnamed column.

    Returns:
        The labels, in the order of the known or declared names; else by number if all are numbers,
        else by name.

    Raises:
        InputError: If a value cannot be a label of that type, or is not a known label.
    """
    context = context or LabelContext()
    if len(context.columns) > 1:
        check_for_several(problem_type, context)
        names, marked = read_indicators(values, context)
        note = f"multi-label: one 0/1 column for each of {len(context.columns)} labels"
        return Labels(MULTI_LABEL, names, list(marked), note)
    counts = context.counts if context.counts is not None else [1] * len(values)
    cleaned, warnings = _stripped(list(map(clean, values)), context.listed, counts)
    cells = read_cells(cleaned, problem_type, context)
    warnings += cells.warnings
    problem_type, separator, note = resolve_problem_type(
        problem_type,
        cells,
        context.known or (),
        has_names=bool(context.declared or context.known),
    )
    if problem_type == REGRESSION:
        return _numbers(cells, context, note, warnings)
    if problem_type == SINGLE_LABEL:
        _check_no_lists(cells, context)
    invalid = cells.missing
    if context.listed:
        invalid |= unnamed_marks(cells.values, context.listed)
    parts = [
        None if value is None or i in invalid else _split(value, separator)
        for i, value in enumerate(cells.values)
    ]
    if cells.vectors and context.known_from != FLAG and not all(map(is_whole, context.listed)):
        warnings.append(
            "the positions of the 0/1 vectors are taken for the model's labels in their order: "
            + ", ".join(map(repr, context.listed[:5]))
            + ", ..." * (len(context.listed) > 5)
        )
    names, groups = _named(parts, context, counts, warnings)
    if problem_type == SINGLE_LABEL:
        ids: list[Any] = [group[0] if group else None for group in groups]
        return Labels(SINGLE_LABEL, names, ids, note, invalid, warnings)
    return Labels(MULTI_LABEL, names, list(groups), note, invalid, warnings)


def _numbers(cells: Cells, context: LabelContext, note: str, warnings: list[str]) -> Labels:
    """Numbers to predict."""
    if context.known:
        raise InputError(
            "label names are given, but the labels are numbers to predict",
            where="label_names",
            expected="label names only if the labels are classes",
            remedy="omit --label-names, or --problem-type single_label_classification",
        )
    numbers = convert_each(
        lambda value: number_of(value, context.where), cells.values, context.rows_of
    )
    return Labels(REGRESSION, [], numbers, note, cells.missing, warnings)


def _check_no_lists(cells: Cells, context: LabelContext) -> None:
    lists = [i for i, value in enumerate(cells.values) if isinstance(value, tuple)]
    if lists:
        raise InputError(
            f"{list(cells.values[lists[0]])!r} is a list of labels",
            where=context.refused_at(lists),
            expected="one label per row",
            remedy="--problem-type multi_label_classification",
        )


def _named(
    parts: Sequence[tuple[Any, ...] | None],
    context: LabelContext,
    counts: Sequence[int],
    warnings: list[str],
) -> tuple[list[str], list[list[int] | None]]:
    """The label names, and the ids of the labels of each value; None without a label.

    Args:
        parts: The labels of each value as the data has them.
        context: Where the labels come from.
        counts: Number of rows with each value.
        warnings: Extended by warnings about names.
    """
    listed = context.listed
    numbered = list(context.numbered) if context.numbered is not None else listed
    if context.known and numbered and all(map(is_whole, context.known)):
        numbered = list(context.known)
    named = convert_each(
        lambda part: (
            None
            if part is None
            else [name_of(value, numbered, context.where, listed) for value in part]
        ),
        parts,
        context.rows_of,
    )
    names = listed or sorted(
        {name for group in named if group is not None for name in group}, key=by_number_then_name
    )
    ids = {name: i for i, name in enumerate(names)}
    if listed:
        unknown = [i for i, group in enumerate(named) if any(n not in ids for n in group or ())]
        if context.known_from != FLAG:
            refuse_numbers(named, unknown, context)
        check_known(named, ids, context.refused_at(unknown), context.known_from)
    else:
        warnings += warn_of_spelling(rows_of_names(named, counts))
    groups = [None if group is None else sorted({ids[name] for name in group}) for group in named]
    return names, groups


def _stripped(
    values: list[Any], known: Sequence[str], counts: Sequence[int]
) -> tuple[list[Any], list[str]]:
    """Values without white space at their ends, and a warning if some had it."""
    changed = {
        i: text
        for i, value in enumerate(values)
        if isinstance(value, str) and value not in known and (text := stripped(value)) != value
    }
    rows = sum(counts[i] for i in changed)
    if not rows:
        return values, []
    example = visible(values[next(iter(changed))])
    for i, text in changed.items():
        values[i] = text or None
    return values, [
        f"white space at the ends of the labels of {counted(rows, 'row')} is ignored, as in"
        f" {example}"
    ]


def _split(value: Any, separator: str | None) -> tuple[Any, ...]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, str) and separator:
        return tuple(part.strip() for part in value.split(separator) if part.strip())
    return (value,)
