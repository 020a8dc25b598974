"""The labels of the rows, once it is known what their values mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.rows import ROWS_SHOWN, Rows
from kfp_finetune.components.load_data.splits import strata_of_numbers, strata_of_sets
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Targets:
    """What every different value of the label column stands for.

    Rows know the number of their label's value (`Rows.labels`); this knows the rest.

    Attributes:
        labels: The meaning of the values.
        column: The label column, or columns, for messages.
    """

    labels: Labels
    column: str

    def missing(self, rows: Rows) -> NDArray[np.int64]:
        """The rows without a label."""
        none = np.array([target is None for target in self.labels.targets], bool)
        return np.flatnonzero(none[rows.labels])

    def of(self, numbers: NDArray[np.int32]) -> list[Any]:
        """The targets of rows with these labels: ids, lists of ids, or numbers."""
        return [self.labels.targets[number] for number in numbers.tolist()]

    def strata(self, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
        """What splits of these rows are stratified by, shape [rows]."""
        targets = self.labels.targets
        if self.labels.problem_type == REGRESSION:
            values = np.array([0.0 if t is None else t for t in targets], np.float32)
            return strata_of_numbers(values[numbers])
        if self.labels.problem_type == MULTI_LABEL:
            sets = [np.array(t or [], np.int32) for t in targets]
            lengths = np.array([len(s) for s in sets], np.int64)[numbers]
            ids = [sets[number] for number in numbers.tolist()]
            return strata_of_sets(
                np.concatenate([[0], np.cumsum(lengths)]),
                np.concatenate([*ids, np.zeros(0, np.int32)]).astype(np.int32),
            )
        return np.array([-1 if t is None else t for t in targets], np.int32)[numbers]

    def counts(self, numbers: NDArray[np.int32]) -> dict[str, int]:
        """How many of these rows carry each label, in the labels' order; none for regression."""
        of_value = np.bincount(numbers, minlength=len(self.labels.targets))
        counts = np.zeros(len(self.labels.names), np.int64)
        for target, count in zip(self.labels.targets, of_value.tolist(), strict=True):
            if self.labels.names and target is not None and count:
                counts[np.array(target, np.int64)] += count
        return dict(zip(self.labels.names, counts.tolist(), strict=True))

    def used(self, numbers: NDArray[np.int32]) -> set[Any]:
        """The ids, or the numbers, that occur in these rows."""
        found: set[Any] = set()
        for number in np.unique(numbers).tolist():
            target = self.labels.targets[number]
            if target is not None:
                found.update(target if isinstance(target, list) else [target])
        return found


def check_seen_in_training(
    targets: Targets, seen: set[Any], numbers: NDArray[np.int32], where: str
) -> None:
    """Check that rows to evaluate on have only labels that the training rows have.

    Raises:
        InputError: Naming the labels that they do not.
    """
    if targets.labels.problem_type == REGRESSION:
        return
    names = targets.labels.names
    unseen = sorted(targets.used(numbers) - seen)
    if unseen:
        raise InputError(
            f"{len(unseen)} label{'s' * (len(unseen) > 1)} not in the training data: "
            + ", ".join(repr(names[i]) for i in unseen[:ROWS_SHOWN]),
            where=where,
            expected="labels that the model can learn",
            remedy="add rows with these labels to the training data, or take them out here",
        )
