"""The distinct values of a column, and words for the kind of a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_MOST_LABELS = 200_000


class Values:
    """Numbers the distinct values of a column in the order in which they are seen."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of a value; the next free one if it is new."""
        # 1, 1.0 and True are equal keys, but different labels.
        key = value if type(value) is str else (type(value).__name__, _hashable(value))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.values)
            self.values.append(tuple(value) if isinstance(value, list) else value)
        return number


class LabelValues(Values):
    """Numbers the labels of texts, and checks the texts beside them."""

    def problems(
        self, columns: Sequence[str], cells: Sequence[list[Any]], labels: Sequence[Any]
    ) -> dict[int, tuple[str, int]]:
        """Find the rows of a batch that cannot be used, whatever the labels mean.

        Args:
            columns: The text columns.
            cells: The values of each, shape [columns, rows].
            labels: The rows' labels.

        Returns:
            By row: the problem, in the same words for the same problem, and the position of the
            word that has it if the text is a list of words, else 0.
        """
        found: dict[int, tuple[str, int]] = {}
        for column, values in zip(columns, cells, strict=True):
            for i, value in enumerate(values):
                if type(value) is not str or not value.strip():
                    found.setdefault(i, (_cell_problem(value, column), 0))
        return found

    def too_many(self, example: Any) -> str:
        """A description of too many distinct labels; empty if there are not too many.

        Args:
            example: One of the values.
        """
        if len(self.values) > _MOST_LABELS and isinstance(example, str | list):
            return f"more than {_MOST_LABELS:,} different labels"
        return ""


def _cell_problem(value: Any, column: str) -> str:
    if value is None or isinstance(value, str):
        return f"no text in column '{column}'"
    return f"{kind_of(value)} instead of a text in column '{column}'"


def text_problem(text: Any) -> str:
    """Why a value is not a text to predict for; empty if it is one."""
    if isinstance(text, str) and text.strip():
        return ""
    return "there is no text" if text is None or text == "" else f"{text!r} is not a text"


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple((type(item).__name__, _hashable(item)) for item in value)
    return repr(value) if isinstance(value, dict | set) or value != value else value


def kind_of(value: Any) -> str:
    """The kind of a value with its article; tables also hold dates, bytes and so on."""
    kind = json_kind(value)
    return kind if kind != "null" or value is None else f"a value of type {type(value).__name__}"


def json_kind(value: Any) -> str:
    """JSON's name for the kind of a parsed value, with its article."""
    kinds: list[tuple[type, str]] = [
        (bool, "a boolean"),
        (int, "a number"),
        (float, "a number"),
        (str, "a string"),
        (list, "a list"),
        (dict, "an object"),
    ]
    return next((words for kind, words in kinds if isinstance(value, kind)), "null")


def as_number(value: Any) -> float | None:
    """A value as a number: infinity if it is too large, None if it is not a number."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None
