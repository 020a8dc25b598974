"""What the values of a label column mean: a class, several classes, or a number.

A column is read once and each different value in it is looked at once, whatever the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_cells import Cells, number_of, read_cells
from kfp_finetune.components.tasks.label_columns import check_for_several, each, read_indicators
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
from kfp_finetune.components.tasks.label_spelling import (
    stripped,
    warn_of_spelling,
)
from kfp_finetune.components.tasks.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    any_separator,
    infer_problem_type,
    list_separator,
)

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.token_classification.reading import TagReader

FLAG = "--label-names"


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
        warnings: What a person should look at, as sentences.
        of_words: Where every word has a label of its own, what reads them off a row; the targets
            then say which labels occur in it.
    """

    problem_type: str
    names: list[str]
    targets: list[int | list[int] | float | None]
    note: str = ""
    invalid: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
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
    numbered: Sequence[str] | None = None,
    rows_of: Callable[[Sequence[int]], str] = lambda numbers: "",
    counts: Sequence[int] | None = None,
    decimal_comma: bool = False,
) -> Labels:
    """Find out what the different values of a label column mean.

    Args:
        values: Every different value: a text, a number, a list (as a tuple), None; or, of several
            columns, a tuple of their values.
        problem_type: One of `PROBLEM_TYPES`, or "auto".
        columns: The label column; several mean one 0/1 column per label.
        declared: The names behind whole numbers, where the data declares them.
        known: All labels there may be, in their order: from a file, or from a trained model.
        known_from: Where the known ones come from, to look at if one is missing.
        numbered: The names that whole numbers count from 0, unless they are whole numbers
            themselves: those of the file. A model's names are not counted by the numbers of other
            data, which may have another order.
        rows_of: Says in which rows values stand, given their places in `values`; is put behind the
            column in a message.
        counts: How many rows have each value; None: one each.
        decimal_comma: Whether the files are of a kind that writes numbers with decimal commas.

    Returns:
        The meaning of each. Labels come in the order of `known` or `declared`, else by number
        where all are numbers, else by name.

    Raises:
        InputError: If a value cannot be a label of that type, or is not a known one.
    """
    where = "column " + ", ".join(map(repr, columns))
    if len(columns) > 1:
        check_for_several(problem_type, known if known_from == FLAG else None, where)
        names, marked = read_indicators(values, columns, where, known, known_from, rows_of)
        note = f"multi-label: one 0/1 column for each of {len(columns)} labels"
        return Labels(MULTI_LABEL, names, list(marked), note)
    counts = counts if counts is not None else [1] * len(values)
    numbered = list(numbered if numbered is not None else known or declared or ())
    if known and numbered and all(map(is_whole, known)):
        numbered = list(known)
    listed = list(known or declared or ())
    cleaned, warnings = _stripped(list(map(clean, values)), listed, counts)
    cells = read_cells(
        cleaned,
        problem_type,
        known=listed,
        where=where,
        rows_of=rows_of,
        decimal_comma=decimal_comma,
    )
    warnings += cells.warnings
    problem_type, separator, note = _problem_type(problem_type, cells, known, declared)
    if problem_type == REGRESSION:
        if known:
            raise InputError(
                "label names are given, and the labels are numbers to be predicted",
                where="label_names",
                expected="label names only where the labels are classes",
                remedy="omit --label-names, or --problem-type single_label_classification",
            )
        numbers = each(lambda value: number_of(value, where), cells.values, rows_of)
        return Labels(REGRESSION, [], numbers, note, cells.missing, warnings)
    if problem_type == SINGLE_LABEL:
        lists = [i for i, value in enumerate(cells.values) if isinstance(value, tuple)]
        if lists:
            raise InputError(
                f"{list(cells.values[lists[0]])!r} is a list of labels",
                where=where + rows_of(lists),
                expected="one label per row",
                remedy="--problem-type multi_label_classification",
            )
    invalid = cells.missing
    if listed:
        invalid |= unnamed_marks(cells.values, listed)
    parts = [
        None if value is None or i in invalid else _split(value, separator)
        for i, value in enumerate(cells.values)
    ]
    if cells.vectors and known_from != FLAG and not all(map(is_whole, listed)):
        warnings.append(
            "the places of the 0/1 vectors are taken for the model's labels in their order: "
            + ", ".join(map(repr, listed[:5]))
            + ", ..." * (len(listed) > 5)
        )
    named = each(
        lambda p: None if p is None else [name_of(v, numbered, where, listed) for v in p],
        parts,
        rows_of,
    )
    names = listed or sorted(
        {name for group in named if group is not None for name in group}, key=by_number_then_name
    )
    ids = {name: i for i, name in enumerate(names)}
    if listed:
        unknown = [i for i, group in enumerate(named) if any(n not in ids for n in group or ())]
        if known_from != FLAG:
            refuse_numbers(named, unknown, listed, where, rows_of)
        check_known(named, ids, where + rows_of(unknown) if unknown else where, known_from)
    else:
        warnings += warn_of_spelling(rows_of_names(named, counts))
    groups = [None if group is None else sorted({ids[name] for name in group}) for group in named]
    if problem_type == SINGLE_LABEL:
        return Labels(
            SINGLE_LABEL, names, [g[0] if g else None for g in groups], note, invalid, warnings
        )
    return Labels(MULTI_LABEL, names, list(groups), note, invalid, warnings)


def _stripped(
    values: list[Any], known: Sequence[str], counts: Sequence[int]
) -> tuple[list[Any], list[str]]:
    """Values without white space at their ends, and a warning where some had it."""
    changed = {
        i: text
        for i, value in enumerate(values)
        if isinstance(value, str) and value not in known and (text := stripped(value)) != value
    }
    for i, text in changed.items():
        values[i] = text or None
    rows = sum(counts[i] for i in changed)
    if not rows:
        return values, []
    return values, [
        f"white space at the ends of the labels of {counted(rows, 'row')} is left out, as"
        f" in {next(iter(changed.values()))!r}"
    ]


def _problem_type(
    problem_type: str,
    cells: Cells,
    known: Sequence[str] | None,
    declared: Sequence[str] | None,
) -> tuple[str, str | None, str]:
    """The problem type, the separator of a list of labels, and how they were found."""
    present = [value for value in cells.values if value is not None]
    if problem_type != "auto":
        several = problem_type == MULTI_LABEL
        separator = (
            list_separator(present, known or ()) or any_separator(present) if several else None
        )
        return problem_type, separator, f"the labels are {cells.kind}" if cells.kind else ""
    if cells.kind:
        return MULTI_LABEL, None, f"multi-label: the labels are {cells.kind}"
    if cells.decimals:
        note = "regression: the labels are numbers with a decimal comma"
        return (
            REGRESSION,
            None,
            f"{note}; if commas separate labels: --problem-type {MULTI_LABEL}",
        )
    return infer_problem_type(present, known or (), has_names=bool(declared or known))


def _split(value: Any, separator: str | None) -> tuple[Any, ...] | None:
    if value is None or isinstance(value, tuple):
        return value
    if isinstance(value, str) and separator:
        return tuple(part.strip() for part in value.split(separator) if part.strip())
    return (value,)
