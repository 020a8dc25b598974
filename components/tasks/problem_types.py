"""The problem type that labels are of, and whether their values are lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)  # as Transformers names them
ENTITIES = "entity_recognition"
TAGS = "word_tagging"
TOKEN_TYPES = (ENTITIES, TAGS)
CLASS_WEIGHTS = ("none", "balanced")
_SEPARATORS = ("|", ";", ",")


def num_outputs(label_names: Sequence[str]) -> int:
    """The width of a model's head: one output per label, or one number."""
    return max(1, len(label_names))


def infer_problem_type(
    values: Sequence[Any], known: Sequence[str], *, has_names: bool
) -> tuple[str, str | None, str]:
    """The problem type, the separator of a list of labels, and how they were found."""
    if any(isinstance(value, tuple) for value in values):
        return MULTI_LABEL, None, "multi-label: the labels are lists"
    if separator := list_separator(values, known):
        return (
            MULTI_LABEL,
            separator,
            f"multi-label: the labels are lists separated by {separator!r}",
        )
    numbers = [as_number(value) for value in values]
    if not has_names and all(number is not None and math.isfinite(number) for number in numbers):
        fractions = [n for n in numbers if n is not None and not n.is_integer()]
        if fractions:
            return REGRESSION, None, f"regression: the labels are numbers such as {fractions[0]:g}"
    return SINGLE_LABEL, None, ""


def list_separator(values: Sequence[Any], known: Sequence[str]) -> str | None:
    """The separator of lists written as text.

    A comma in a label's name makes no list: every part of a list must also stand alone somewhere or
    be known, or all parts must be whole numbers.
    """
    texts = [value for value in values if isinstance(value, str) and value not in known]
    for separator in _SEPARATORS:
        joined = [text for text in texts if separator in text]
        parts = {part.strip() for text in joined for part in text.split(separator)}
        alone = {text.strip() for text in texts if separator not in text} | set(known)
        if joined and (parts <= alone or all(part.isdigit() for part in parts)):
            return separator
    return None


def any_separator(values: Sequence[Any]) -> str | None:
    """The first separator in use: what a user means who says that there are several labels."""
    texts = [value for value in values if isinstance(value, str)]
    return next((mark for mark in _SEPARATORS if any(mark in text for text in texts)), None)


def as_number(value: Any) -> float | None:
    """A value as a number; infinity if it is too large for one, None if it is none."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None
