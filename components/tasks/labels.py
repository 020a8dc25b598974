"""The meaning of a label column: its problem type, its label names and a target for every value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

FLAG = "--label-names"


class WordReader(Protocol):
    """Reads the words and the label ids of a row in which every word has a label."""

    @property
    def words_dropped(self) -> int:
        """Number of empty words dropped so far."""
        ...

    def read(self, words: list[str], tags: list[Any]) -> tuple[list[str], list[int]]:
        """The words of a row, and the label id of each."""
        ...

    def wrong_word(self, tags: list[Any]) -> int:
        """The position of the first word whose label is not allowed; 0 if there is none."""
        ...


@dataclass(frozen=True)
class LabelContext:
    """Where labels come from, and which names are known.

    Attributes:
        columns: The label columns; several are one 0/1 column per label.
        declared: The names behind whole numbers, if the data declares them.
        known: All allowed labels in order, from a file or from a trained model.
        known_from: The source of `known`, as the remedy for a label that is not among them.
        numbered: The names that whole numbers refer to, from 0, unless the names are whole numbers
            themselves; None: `known` or `declared`. A model's names are not used for the numbers of
            other data, which may have another order.
        rows_of: Names the rows that hold values, given the positions of these values; appended to
            the column in messages.
        counts: Number of rows with each value; None: one each.
        decimal_comma: Whether the files commonly write numbers with decimal commas.
    """

    columns: Sequence[str] = ("label",)
    declared: Sequence[str] | None = None
    known: Sequence[str] | None = None
    known_from: str = FLAG
    numbered: Sequence[str] | None = None
    rows_of: Callable[[Sequence[int]], str] = lambda numbers: ""
    counts: Sequence[int] | None = None
    decimal_comma: bool = False

    @property
    def where(self) -> str:
        """The columns, for messages."""
        return "column " + ", ".join(map(repr, self.columns))

    @property
    def listed(self) -> list[str]:
        """The allowed labels in order; empty if any label is allowed."""
        return list(self.known or self.declared or ())

    def refused_at(self, positions: Sequence[int]) -> str:
        """The columns and the rows that hold these values, for messages."""
        return self.where + (self.rows_of(positions) if positions else "")


@dataclass(frozen=True)
class Labels:
    """The meaning of every distinct value of a label column.

    Attributes:
        problem_type: Name of the problem type.
        names: The label of id i is `names[i]`; empty if labels are numbers to predict.
        targets: For every value, in the order given: the id, the ids in ascending order, or the
            number; None for a value without a label.
        note: How the problem type was found, as a sentence; empty if the user gave it.
        invalid: Why rows with a value cannot be used, by the position of the value.
        warnings: Things to look at, as sentences.
        words: Reads a row in which every word has a label; None if rows have one target. The
            targets then list the labels that occur in the row.
    """

    problem_type: str
    names: list[str]
    targets: list[int | list[int] | float | None]
    note: str = ""
    invalid: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    words: WordReader | None = None

    @property
    def several(self) -> bool:
        """Return True if a value stands for any number of labels."""
        return any(isinstance(target, list) for target in self.targets)

    @property
    def numeric(self) -> bool:
        """Return True if the labels are numbers to predict."""
        return not self.names and not self.several


def num_outputs(label_names: Sequence[str]) -> int:
    """The width of a model's head: one output per label, or one number."""
    return max(1, len(label_names))
