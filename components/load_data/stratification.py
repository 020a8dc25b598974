"""Stratified random splits of rows or groups of rows: a pure function of the seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kfp_finetune.components.load_data.repeats import pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BINS = 10


def strata_of_numbers(
    values: NDArray[np.float32], of_rows: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Ten strata of numbers, each a tenth of the rows, for the splits of a regression.

    Args:
        values: The different numbers.
        of_rows: Every row's number, shape [rows]; reordered in place.

    Returns:
        The stratum of each different number, from 0 to 9.
    """
    edges = np.quantile(of_rows, np.linspace(0, 1, _BINS + 1)[1:-1], overwrite_input=True)
    return np.searchsorted(edges, values).astype(np.uint8)


def stratified_sample(
    strata: NDArray[np.integer], candidates: NDArray[np.uint32], size: int, seed: int
) -> NDArray[np.uint32]:
    """Choose rows so that every stratum has its share.

    Systematic sampling: the candidates are ordered by stratum, at random within each, and every
    (n / size)-th is chosen. Each stratum's share is exact to within one row, whatever the strata's
    sizes; sampling each stratum separately would round many small ones. The first row of every
    stratum is never chosen, so that every stratum keeps a row to train on.

    Args:
        strata: The stratum of every row, e.g. its label, counted from 0, shape [rows].
        candidates: Row numbers to choose from; shuffled in place.
        size: The number of rows to choose; fewer are returned if too few can be spared.
        seed: The run's seed.

    Returns:
        The chosen row numbers, ascending.
    """
    random = np.random.default_rng(seed)
    random.shuffle(candidates)
    ordered, sizes = by_stratum(strata, candidates)
    spare = np.cumsum(sizes[sizes > 0] - 1)  # up to the end of each stratum
    available = int(spare[-1]) if len(spare) else 0
    size = min(size, available)
    start = random.uniform(0, 1)
    chosen = np.empty(size, np.uint32)
    for piece in pieces(size):
        numbers = (np.arange(piece.start, piece.stop) + start) * (available / size)
        numbers = numbers.astype(np.int64)
        firsts_before = 1 + np.searchsorted(spare, numbers, side="right")
        chosen[piece] = ordered[numbers + firsts_before]
    chosen.sort()
    return chosen


def by_stratum(
    strata: NDArray[np.integer], rows: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Sort rows by stratum, keeping their order within each; also return each stratum's size.

    A counting sort, a piece at a time: sorting all at once would take four times the memory.
    """
    count = int(strata.max(initial=0)) + 1
    sizes = np.zeros(count, np.int64)
    for piece in pieces(len(rows)):
        sizes += np.bincount(strata[rows[piece]], minlength=count)
    free = np.cumsum(sizes) - sizes  # where the next row of each stratum goes
    ordered = np.empty_like(rows)
    for piece in pieces(len(rows)):
        of_row = strata[rows[piece]]
        order = np.argsort(of_row, kind="stable")
        of_row = of_row[order]
        within = np.arange(len(of_row)) - np.searchsorted(of_row, of_row)
        ordered[free[of_row] + within] = rows[piece][order]
        free += np.bincount(of_row, minlength=count)
    return ordered, sizes


def assign_splits(
    strata: NDArray[np.integer], fractions: dict[str, float], seed: int
) -> NDArray[np.int8]:
    """Assign every row, or every group of rows, to a split.

    Args:
        strata: The stratum of every row, counted from 0, shape [rows].
        fractions: The share of all rows for each split other than train.
        seed: The run's seed.

    Returns:
        Shape [rows]: 0 for train, i for the i-th split of `fractions`.
    """
    splits = np.zeros(len(strata), np.int8)
    for number, fraction in enumerate(fractions.values(), start=1):
        rest = np.arange(len(strata), dtype=np.uint32)[splits == 0]
        size = round(fraction * len(strata))
        splits[stratified_sample(strata, rest, size, seed + number)] = number
    return splits
