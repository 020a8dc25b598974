"""The training targets of the rows, once the meaning of their label values is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.rows import ROWS_SHOWN, Rows, in_rows
from kfp_finetune.components.load_data.stratification import strata_of_numbers
from kfp_finetune.components.tasks.labels import Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Targets:
    """The target of every different value of the label column.

    Rows have only the number of their label's value (`Rows.labels`).

    Attributes:
        labels: The meaning of the values.
        column: The label column, or columns, for messages.
    """

    labels: Labels
    column: str

    def missing(self, rows: Rows) -> NDArray[np.int64]:
        """The numbers of the rows without a label."""
        none = np.array([target is None for target in self.labels.targets], bool)
        return np.flatnonzero(none[rows.labels])

    def of(self, numbers: NDArray[np.int32], cells: Sequence[Any]) -> Sequence[Any]:
        """The targets of rows with these labels: ids, lists of ids, or numbers.

        For tagged words the cells themselves, because words and tags are read together.
        """
        if self.labels.words is not None:
            return cells
        return [self.labels.targets[number] for number in numbers.tolist()]

    def strata(self, numbers: NDArray[np.int32]) -> NDArray[np.integer]:
        """The stratum of every value, from 0, by which splits are stratified.

        The type is the smallest that fits, because every row will have a stratum.
        """
        targets = self.labels.targets
        if self.labels.numeric:
            values = np.array([0.0 if t is None else t for t in targets], np.float32)
            return strata_of_numbers(values, values[numbers])
        smallest = np.min_scalar_type(len(self.labels.names))
        return np.array([t or 0 for t in targets], smallest)

    def label_sets(self, numbers: NDArray[np.int32]) -> tuple[list[list[int]], NDArray[np.int32]]:
        """The different sets of labels, as ids, and the number of the set of each row."""
        found: dict[tuple[int, ...], int] = {}
        targets: list[Any] = self.labels.targets
        of_value = np.array([found.setdefault(tuple(t or ()), len(found)) for t in targets])
        return [list(ids) for ids in found], of_value.astype(np.int32)[numbers]

    def has(self, number: int, ids: list[int]) -> bool:
        """Return True if the label value of that number is, or contains, one of these ids."""
        target = self.labels.targets[number]
        return any(i in ids for i in (target if isinstance(target, list) else [target]))

    def used(self, numbers: NDArray[np.int32]) -> set[Any]:
        """The ids, or the numbers, that occur in these rows."""
        found: set[Any] = set()
        for number in np.unique(numbers).tolist():
            target = self.labels.targets[number]
            if target is not None:
                found.update(target if isinstance(target, list) else [target])
        return found


def check_seen_in_training(
    targets: Targets, seen: set[Any], rows: Rows, chosen: NDArray[np.int64], split: str
) -> None:
    """Check that the labels of validation or test rows all occur in the training rows.

    Args:
        targets: The meaning of the labels.
        seen: The ids in the training rows.
        rows: The source of the split.
        chosen: The numbers of its rows in the split.
        split: The name of the split.

    Raises:
        InputError: If a label does not occur there; the message names the labels and the rows.
    """
    if targets.labels.numeric:
        return
    names = targets.labels.names
    numbers = rows.labels[chosen]
    unseen = sorted(targets.used(numbers) - seen)
    if unseen:
        values = [n for n in np.unique(numbers).tolist() if targets.has(n, unseen)]
        found = chosen[np.isin(numbers, values)]
        raise InputError(
            f"{len(unseen)} label{'s' * (len(unseen) > 1)} not in the training data: "
            + ", ".join(repr(names[i]) for i in unseen[:ROWS_SHOWN]),
            where=f"{rows.source.name} ({split}), {in_rows(found)}",
            expected="only labels that occur in the training data",
            remedy="add rows with these labels to the training data, or remove these rows",
        )
