"""Splits made where none are given: stratified by label, and a pure function of the seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stratified_sample(
    labels: NDArray[np.int32], candidates: NDArray[np.int64], size: int, seed: int
) -> NDArray[np.int64]:
    """Choose rows so that every label has its share.

    Systematic sampling: the candidates are put in order of their labels, at random within a label,
    and every (n / size)-th is taken. So a label's share is met to within one row, whatever the
    labels' sizes, where sampling label by label would round each of many small ones. The first row
    of every label stays out, so that none is left without a row to learn from.

    Args:
        labels: Label ids of all rows, shape [rows].
        candidates: Row numbers to choose from.
        size: How many to choose; fewer if there are not so many to spare.
        seed: Of the run.

    Returns:
        The chosen row numbers, ascending.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(candidates)
    ordered = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sorted_labels = labels[ordered]
    first_of_label = np.r_[True, sorted_labels[1:] != sorted_labels[:-1]]
    spare = ordered[~first_of_label]
    size = min(size, len(spare))
    if size == 0:
        return np.zeros(0, np.int64)
    start = random.uniform(0, 1)
    positions = ((np.arange(size) + start) * (len(spare) / size)).astype(np.int64)
    return np.sort(spare[positions])


def assign_splits(
    labels: NDArray[np.int32], fractions: dict[str, float], seed: int
) -> NDArray[np.int8]:
    """Assign every row of one source to a split.

    Args:
        labels: Label ids, shape [rows].
        fractions: The share of all rows that each split besides train gets.
        seed: Of the run.

    Returns:
        Shape [rows]: 0 for train, i for the i-th split of `fractions`.
    """
    assignment = np.zeros(len(labels), np.int8)
    for number, (_, fraction) in enumerate(fractions.items(), start=1):
        rest = np.flatnonzero(assignment == 0)
        size = round(fraction * len(labels))
        assignment[stratified_sample(labels, rest, size, seed + number)] = number
    return assignment
