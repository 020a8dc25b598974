"""Label names: from values to names, and checks against the allowed names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_spelling import is_missing_mark
from kfp_finetune.components.tasks.labels import LabelContext

_DIGITS = re.compile(r"[0-9]{1,18}")
_SHOWN = 5


def clean(value: Any) -> Any:
    """A value without the artefacts of its file format; None if it is empty."""
    if value is None or value != value:  # NaN is not itself
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def name_of(value: Any, listed: Sequence[str], where: str, known: Sequence[str] = ()) -> str:
    """The name of one label.

    Args:
        value: As the data has it.
        listed: The names that whole numbers refer to, from 0, unless they are whole numbers.
        where: The column of the value, for messages.
        known: All allowed names, which are used unchanged.

    Raises:
        InputError: If the value cannot be a label.
    """
    value = clean(value)
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, int | str) and listed and all(map(is_whole, listed)):
        return str(value)
    if isinstance(value, str):
        if value in listed or value in known or not (listed and _DIGITS.fullmatch(value)):
            return value
        value = int(value)
    if value is None:
        raise InputError(
            "a list of labels contains null or an empty text",
            where=where,
            expected="texts or whole numbers in every list",
            remedy="fix the lists; a text without labels has an empty list",
        )
    if not isinstance(value, int):
        raise InputError(
            f"{value!r} cannot be a label",
            where=where,
            expected="a text or a whole number"
            + ("; numbers with fractions are for regression" if isinstance(value, float) else ""),
            remedy="--problem-type regression"
            if isinstance(value, float)
            else "name another --label-column",
        )
    if not listed:
        return str(value)
    if not 0 <= value < len(listed):
        raise InputError(
            f"label {value} is not one of the {len(listed)} named labels",
            where=where,
            expected=f"numbers from 0 to {len(listed) - 1}, one for each label name",
            remedy="check --label-names, or the column",
        )
    return listed[value]


def is_whole(name: str) -> bool:
    """Return True if a name is a whole number."""
    return name.removeprefix("-").isdigit()


def check_known(
    named: Sequence[Sequence[str] | None], ids: dict[str, int], where: str, known_from: str
) -> None:
    """Check that every name is allowed.

    Args:
        named: The labels of each value; None without a label.
        ids: The id of every allowed name.
        where: Where the labels come from.
        known_from: Where the allowed names come from, as a remedy.

    Raises:
        InputError: If a name is not allowed.
    """
    unknown = sorted({name for group in named for name in group or () if name not in ids})
    if unknown:
        near = difflib.get_close_matches(unknown[0], ids, n=1)
        raise InputError(
            f"{len(unknown)} unknown label{'s' * (len(unknown) > 1)}: "
            + ", ".join(map(repr, unknown[:_SHOWN])),
            where=where,
            expected="one of "
            + ", ".join(map(repr, list(ids)[:_SHOWN]))
            + ", ..." * (len(ids) > _SHOWN),
            remedy=f"fix the labels ({unknown[0]!r} may mean {near[0]!r}), or {known_from}"
            if near
            else f"fix the labels, or {known_from}",
        )


def by_number_then_name(name: str) -> tuple[int, int, str]:
    """A sort key: whole numbers by value, then all other names by name."""
    try:
        return 0, int(name), name
    except ValueError:
        return 1, 0, name


def unnamed_marks(values: Sequence[Any], names: Sequence[str]) -> dict[int, str]:
    """Marks for a missing label that are not allowed names: the reason, by position."""
    return {
        i: f"the label {value!r}, which marks a missing value"
        for i, value in enumerate(values)
        if (is_missing_mark(value) or value in (-1, "-1")) and str(value) not in names
    }


def refuse_numbers(
    named: Sequence[Sequence[str] | None], unknown: Sequence[int], context: LabelContext
) -> None:
    """Refuse numbers for a model's labels that have names: their order is unknown.

    Args:
        named: The labels of each value.
        unknown: The positions of the values with a label that is not known.
        context: Where the labels come from.

    Raises:
        InputError: If one of these labels is a number, and the known labels are not.
    """
    listed = context.listed
    numbers = sorted({n for i in unknown for n in named[i] or () if is_whole(n)}, key=int)
    if numbers and not all(map(is_whole, listed)):
        raise InputError(
            f"the labels are numbers such as {numbers[0]}, but the model's labels have names",
            where=context.refused_at(unknown),
            expected="one of " + ", ".join(map(repr, listed[:5])) + ", ..." * (len(listed) > 5),
            remedy="list the names that the numbers refer to, from 0, one per line in a file:"
            " --label-names FILE",
        )


def rows_of_names(named: Sequence[Sequence[str] | None], counts: Sequence[int]) -> dict[str, int]:
    """The number of rows with each label."""
    rows: dict[str, int] = {}
    for group, count in zip(named, counts, strict=True):
        for name in dict.fromkeys(group or ()):
            rows[name] = rows.get(name, 0) + count
    return rows
