"""Splits made where none are given: stratified, by whole groups, a pure function of the seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 10


def strata_of_numbers(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Ten strata of numbers, each a tenth of the rows: how a regression's splits are stratified."""
    edges = np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, values).astype(np.int32)


def strata_of_sets(offsets: NDArray[np.int64], ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """One stratum per row of several labels: the rarest of them, or -1 where there is none.

    So every row stands for the label it matters most to, the principle of iterative
    stratification (Sechidis et al., 2011: the rarest label is distributed first).

    Args:
        offsets: Where each row's labels start in `ids`, shape [rows + 1].
        ids: The labels of all rows, one after the other.
    """
    lengths = np.diff(offsets)
    counts = np.bincount(ids, minlength=1)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    rarest_last = np.lexsort((ids, -counts[ids]))
    strata = np.full(len(lengths), -1, np.int32)
    strata[rows[rarest_last]] = ids[rarest_last]  # of several, the last written stays
    return strata


def stratified_sample(
    strata: NDArray[np.int32], candidates: NDArray[np.int64], size: int, seed: int
) -> NDArray[np.int64]:
    """Choose rows so that every stratum has its share.

    Systematic sampling: the candidates are put in order of their strata, at random within one, and
    every (n / size)-th is taken. So a stratum's share is met to within one row, whatever the
    strata's sizes, where sampling one by one would round each of many small ones. The first row of
    every stratum stays out, so that none is left without a row to learn from.

    Args:
        strata: The stratum of every row, e.g. its label, shape [rows].
        candidates: Row numbers to choose from.
        size: How many to choose; fewer if there are not so many to spare.
        seed: Of the run.

    Returns:
        The chosen row numbers, ascending.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(candidates)
    ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
    of_row = strata[ordered]
    first_of_stratum = np.ones(len(ordered), bool)
    first_of_stratum[1:] = of_row[1:] != of_row[:-1]
    spare = ordered[~first_of_stratum]
    size = min(size, len(spare))
    if size == 0:
        return np.zeros(0, np.int64)
    start = random.uniform(0, 1)
    positions = ((np.arange(size) + start) * (len(spare) / size)).astype(np.int64)
    return np.sort(spare[positions])


def assign_splits(
    strata: NDArray[np.int32],
    fractions: dict[str, float],
    seed: int,
    groups: NDArray[np.uint64] | None = None,
) -> NDArray[np.int8]:
    """Assign every row of one source to a split.

    Args:
        strata: What the splits are to have equal shares of, shape [rows].
        fractions: The share of all rows that each split besides train gets.
        seed: Of the run.
        groups: Rows of one group go to one split, shape [rows]; None: every row is its own group.
            A group counts for the stratum of its first row, and shares are of groups.

    Returns:
        Shape [rows]: 0 for train, i for the i-th split of `fractions`.
    """
    if groups is None:
        leaders = members = np.arange(len(strata))
    else:
        _, leaders, members = np.unique(groups, return_index=True, return_inverse=True)
    of_group = np.zeros(len(leaders), np.int8)
    for number, fraction in enumerate(fractions.values(), start=1):
        rest = np.flatnonzero(of_group == 0)
        size = round(fraction * len(leaders))
        of_group[stratified_sample(strata[leaders], rest, size, seed + number)] = number
    return of_group[members]
