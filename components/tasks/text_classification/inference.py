"""Infer the problem type from the labels, and the separator of lists written as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kfp_finetune.components.tasks.text_classification.cells import Cells
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.values import as_number

_SEPARATORS = ("|", ";", ",")


def resolve_problem_type(
    problem_type: str, cells: Cells, known: Sequence[str], *, has_names: bool
) -> tuple[str, str | None, str]:
    """The problem type, the separator of lists of labels, and a note on how they were found.

    Args:
        problem_type: As given; "auto" is inferred.
        cells: The label column.
        known: All allowed labels; empty if they are not known.
        has_names: Whether the data declares label names, or they were given.
    """
    present = [value for value in cells.values if value is not None]
    if problem_type != "auto":
        several = problem_type == MULTI_LABEL
        separator = (list_separator(present, known) or _any_separator(present)) if several else None
        return problem_type, separator, f"the labels are {cells.kind}" if cells.kind else ""
    if cells.kind:
        return MULTI_LABEL, None, f"multi-label: the labels are {cells.kind}"
    if cells.decimals:
        return (
            REGRESSION,
            None,
            "regression: the labels are numbers with a decimal comma; if commas separate labels:"
            f" --problem-type {MULTI_LABEL}",
        )
    return _infer(present, known, has_names=has_names)


def _infer(
    values: Sequence[Any], known: Sequence[str], *, has_names: bool
) -> tuple[str, str | None, str]:
    if any(isinstance(value, tuple) for value in values):
        return MULTI_LABEL, None, "multi-label: the labels are lists"
    if separator := list_separator(values, known):
        note = f"multi-label: the labels are lists separated by {separator!r}"
        return MULTI_LABEL, separator, note
    numbers = [as_number(value) for value in values]
    if not has_names and all(number is not None and math.isfinite(number) for number in numbers):
        fractions = [n for n in numbers if n is not None and not n.is_integer()]
        if fractions:
            return REGRESSION, None, f"regression: the labels are numbers such as {fractions[0]:g}"
    return SINGLE_LABEL, None, ""


def list_separator(values: Sequence[Any], known: Sequence[str]) -> str | None:
    """The separator of lists written as text; None if there are none.

    A comma in a label's name is not enough: every part of a list must also occur alone or be known,
    or all parts must be whole numbers.
    """
    texts = [value for value in values if isinstance(value, str) and value not in known]
    for separator in _SEPARATORS:
        joined = [text for text in texts if separator in text]
        parts = {part.strip() for text in joined for part in text.split(separator)}
        alone = {text.strip() for text in texts if separator not in text} | set(known)
        if joined and (parts <= alone or all(part.isdigit() for part in parts)):
            return separator
    return None


def _any_separator(values: Sequence[Any]) -> str | None:
    """The first separator in use; enough evidence if the user asked for several labels."""
    texts = [value for value in values if isinstance(value, str)]
    return next((mark for mark in _SEPARATORS if any(mark in text for text in texts)), None)
