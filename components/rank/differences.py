"""The certainty of a ranking: paired bootstrap intervals of the differences between candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SEED = 42


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of bootstrap values: from their 2.5th to their 97.5th percentile."""
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def mean_of_seeds(resamples: Sequence[Sequence[float]]) -> np.ndarray | None:
    """The mean of a candidate's seeds on each resample of the rows.

    Seeds are resampled, too: a candidate that did well with one lucky seed is less certain.

    Args:
        resamples: The deciding metric of each seed on the same resamples of the same rows.

    Returns:
        Shape [resamples]; None if a seed has none, or another number of them.
    """
    lengths = {len(values) for values in resamples}
    if len(lengths) != 1 or 0 in lengths:
        return None
    values = np.array(resamples)
    seeds, count = values.shape
    drawn = np.random.default_rng(_SEED).integers(seeds, size=(seeds, count))
    means: np.ndarray = np.take_along_axis(values, drawn, axis=0).mean(axis=0)
    return means


def difference(
    best: np.ndarray | None, other: np.ndarray | None, *, less_is_better: bool
) -> tuple[float, float] | None:
    """The 95 % interval by which the best candidate is better than another one.

    Both are measured on the same resamples of the same rows, so that what is hard in a resample is
    hard for both.

    Returns:
        None if either is not known, or they were measured on different rows.
    """
    if best is None or other is None or best.shape != other.shape:
        return None
    return interval(other - best if less_is_better else best - other)
