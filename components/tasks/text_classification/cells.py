"""Read the cells of a label column, before their meaning is known.

A cell of text may be a printed list, a number with a decimal comma or a mark for a missing value; a
list may be a vector of 0 and 1. Each of them could be mistaken for the name of a class.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_spelling import is_missing_mark
from kfp_finetune.components.tasks.labels import LabelContext
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.values import as_number

_ITEM = re.compile(
    r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([+-]?[0-9]+(?:\.[0-9]*)?|True|False))\s*"""
)
_ARRAY = re.compile(r"array\((\[.*\])(?:, dtype=[^()]*)?\)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")
_LARGEST = 3.4e38  # float32
_DECIMAL_COMMA = re.compile(r"[+-]?([0-9]+),([0-9]+)")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+")


@dataclass
class Cells:
    """The distinct cells of a label column.

    Attributes:
        values: For every cell a text, a number, a tuple, or None without a label.
        kind: How the cells were read, for a note; empty if they are unchanged.
        vectors: Whether they were vectors of 0 and 1, and are now tuples of the positions of 1.
        decimals: Whether they were numbers with decimal commas.
        missing: Why a cell is None that was not empty, by position.
        warnings: Other ways in which the cells may be meant.
    """

    values: list[Any]
    kind: str = ""
    vectors: bool = False
    decimals: bool = False
    missing: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_cells(values: Sequence[Any], problem_type: str, context: LabelContext) -> Cells:
    """Read the distinct cells of a label column.

    Args:
        values: The cells, cleaned.
        problem_type: One of text classification's, or "auto".
        context: Where the labels come from.

    Raises:
        InputError: If some cells are printed lists or vectors and others are not, or a number is
            ambiguous.
    """
    cells = Cells(list(values))
    if not _read_lists(cells, problem_type, context):
        _read_numbers(cells, problem_type, context)
    _read_vectors(cells, problem_type, context)
    return cells


def printed_list(text: str) -> tuple[Any, ...] | None:
    """The items of a printed list, tuple, set or array; None if the text is none of them."""
    body = text.strip()
    if array := _ARRAY.fullmatch(body):
        body = array[1]
    if body in ("set()", "()"):
        return ()
    plain = body[:1] + body[-1:] == "[]"
    # A name may be in parentheses: only those with quotes or commas are candidates.
    other = body[:1] + body[-1:] in ("()", "{}") and bool(set("'\",") & set(body))
    if not (plain or other):
        return None
    body, at, items = body[1:-1].rstrip(), 0, list[Any]()
    while at < len(body):
        found = _ITEM.match(body, at)
        if not found:
            return None
        single, double, bare = found.groups()
        if bare is not None:
            items.append(bare == "True" if bare in ("True", "False") else float(bare))
        else:
            items.append(_ESCAPED.sub(r"\1", single if single is not None else double))
        at = found.end()
        if body[at : at + 1] == ",":
            at += 1
    return tuple(int(i) if isinstance(i, float) and i.is_integer() else i for i in items)


def _read_lists(cells: Cells, problem_type: str, context: LabelContext) -> bool:
    """Read printed lists; return whether there are any."""
    names = context.listed
    texts = {i: v for i, v in enumerate(cells.values) if isinstance(v, str) and v not in names}
    parsed = {i: printed_list(text) for i, text in texts.items()}
    if not any(items is not None for items in parsed.values()):
        return False
    others = [
        i
        for i, value in enumerate(cells.values)
        if value is not None and not isinstance(value, tuple) and parsed.get(i) is None
    ]
    if others and problem_type == SINGLE_LABEL:  # then they are names that look like lists
        return False
    if others:
        raise InputError(
            f"some labels are printed lists, but {cells.values[others[0]]!r} is not",
            where=context.refused_at(others),
            expected="a list such as ['joy', 'love'] in every row, or in none",
            remedy="write all labels the same way: as lists, or separated by |",
        )
    for i, items in parsed.items():
        cells.values[i] = items
    cells.kind = "printed lists"
    return True


def _read_numbers(cells: Cells, problem_type: str, context: LabelContext) -> None:
    """Find marks for missing values among numbers, and read decimal commas."""
    several = problem_type == MULTI_LABEL or any(isinstance(v, tuple) for v in cells.values)
    if context.listed or several:
        return
    marks = {i: v for i, v in enumerate(cells.values) if is_missing_mark(v)}
    rest = {i: v for i, v in enumerate(cells.values) if v is not None and i not in marks}
    commas = {i: v for i, v in rest.items() if isinstance(v, str) and _DECIMAL_COMMA.fullmatch(v)}
    plain = {i: v for i, v in rest.items() if as_number(v) is not None}
    if not rest or len(commas) + len(plain) < len(rest):
        return
    if commas and _are_decimals(cells, commas, problem_type, context):
        for i, text in commas.items():
            cells.values[i] = float(text.replace(",", "."))
        cells.decimals = True
    elif commas:
        return
    for i, mark in marks.items():
        cells.values[i] = None
        cells.missing[i] = f"the label {mark!r}, which marks a missing value among numbers"


def _are_decimals(
    cells: Cells, commas: dict[int, str], problem_type: str, context: LabelContext
) -> bool:
    """Return True if texts such as 3,5 are numbers with a decimal comma rather than two labels."""
    positions, example = list(commas), next(iter(commas.values()))
    if problem_type == REGRESSION:
        if not context.decimal_comma and all(map(_THOUSANDS.fullmatch, commas.values())):
            raise InputError(
                f"{example!r} may be {example.replace(',', '')} or {example.replace(',', '.')}",
                where=context.refused_at(positions),
                expected="unambiguous numbers",
                remedy="write them without thousands separators, and with a decimal point",
            )
        return True
    if problem_type != "auto":
        return False
    pairs = [text.lstrip("+-").split(",") for text in commas.values()]
    # A set has no label twice, and the number of a label has no leading zero.
    no_sets = any(a == b or (len(b) > 1 and b.startswith("0")) for a, b in pairs)
    if context.decimal_comma or no_sets:
        return True
    cells.warnings.append(
        f"labels such as {example!r} are read as several label numbers; if they are numbers with a"
        " decimal comma: --problem-type regression"
    )
    return False


def _read_vectors(cells: Cells, problem_type: str, context: LabelContext) -> None:
    """Read vectors of 0 and 1 with one position per label."""
    known = context.listed
    lists = {i: v for i, v in enumerate(cells.values) if isinstance(v, tuple)}
    if problem_type not in ("auto", MULTI_LABEL) or not lists:
        return
    # A list that has 0 or 1 twice is not a set of label numbers.
    marks = {i: v for i, v in lists.items() if all(item in (0, 1) for item in v) and v}
    repeated = [i for i, v in marks.items() if len(set(v)) < len(v)]
    widths = sorted({len(v) for v in lists.values()})
    width = len(known) or widths[-1]
    if len(marks) == len(lists) and widths == [width] and width > 1:
        for i, vector in lists.items():
            cells.values[i] = tuple(
                known[at] if known else at for at, mark in enumerate(vector) if mark
            )
        cells.vectors = True
        cells.kind = f"vectors of 0 and 1 with {width} positions, one per label"
    elif repeated:
        example = list(lists[repeated[0]])
        raise InputError(
            f"the label {str(example)[:60]} is a vector of 0 and 1 with {len(example)} positions"
            + (f", but there are {len(known)} label names" if known else ""),
            where=context.refused_at(repeated),
            expected=f"vectors of 0 and 1 with {width} positions, one per label, in every row",
            remedy="give --label-names a file with a name for every position"
            if known and len(widths) == 1
            else "fix the rows whose vectors have another length",
        )


def number_of(value: Any, where: str) -> float | None:
    """A number to predict; None if there is none.

    Args:
        value: As the data has it.
        where: The column of the value, for messages.

    Raises:
        InputError: If it is not a finite number.
    """
    if value is None:
        return None
    number = as_number(value)
    if number is not None and abs(number) > _LARGEST:
        raise InputError(
            f"{number:g} is too large to be predicted",
            where=where,
            expected=f"numbers up to {_LARGEST:.2g}, the largest of float32",
            remedy="fix the value, or scale the numbers",
        )
    if number is None or not math.isfinite(number):
        raise InputError(
            f"{value!r} is not a number",
            where=where,
            expected="a finite number per row, for regression",
            remedy="fix the value, or --problem-type single_label_classification",
        )
    return number
