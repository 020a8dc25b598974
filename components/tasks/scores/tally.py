"""Scores as functions of sums over examples, for any weighting of the examples.

One pass over the examples computes the contribution of each to the sums; the scores of a slice, or
of a thousand bootstrap resamples, then take one matrix product. Tests compare them with
scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, hstack

RESAMPLES = 1000
_SEED = 42
_COUNTS_AT_ONCE = 5_000_000  # 40 MB
_Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class Tally:
    """The contribution of every example.

    Attributes:
        rows: Sparse, shape [examples, sums].
        scores_of: Scores by name, each of shape [weightings], of sums of shape
            [weightings, sums]; NaN if one is undefined.
    """

    rows: csr_array
    scores_of: Callable[[np.ndarray], _Scores]

    def scores(self, weights: csr_array) -> list[dict[str, float]]:
        """The scores that are defined, for each weighting of the examples.

        Args:
            weights: The weight of each example, shape [weightings, examples].
        """
        defined: list[dict[str, float]] = []
        size = max(1, _COUNTS_AT_ONCE // self.rows.shape[1])
        for start in range(0, weights.shape[0], size):
            part = weights[start : start + size]
            found = self.scores_of((part @ self.rows).toarray())
            defined += [
                {name: float(values[i]) for name, values in found.items() if np.isfinite(values[i])}
                for i in range(part.shape[0])
            ]
        return defined

    def overall(self) -> dict[str, float]:
        """The scores of all examples."""
        return self.scores(csr_array(np.ones((1, self.rows.shape[0]))))[0]

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of the scores: percentiles over resamples of the examples.

        Seeded: the same examples in the same order give the same intervals. (Efron and Tibshirani,
        An Introduction to the Bootstrap, 1993, chapter 13.)
        """
        intervals = {}
        for name, values in self.resampled().items():
            values = values[np.isfinite(values)]
            if len(values):
                low, high = np.percentile(values, (2.5, 97.5))
                intervals[name] = (float(low), float(high))
        return intervals

    def resampled(self) -> _Scores:
        """The scores of bootstrap resamples of the examples, each of shape [RESAMPLES].

        The resamples depend on the number of examples only: of two models that predicted the same
        examples, the scores at the same place are of the same resample, and can be compared.
        """
        count = self.rows.shape[0]
        random = np.random.default_rng(_SEED)
        found: list[_Scores] = []
        left = RESAMPLES
        while left:
            size = min(left, max(1, _COUNTS_AT_ONCE // count))
            drawn = random.integers(count, size=(size, count))
            drawn += count * np.arange(size)[:, np.newaxis]
            weights = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
            found.append(self.scores_of(weights.astype(np.float64) @ self.rows))
            left -= size
        return {name: np.concatenate([scores[name] for scores in found]) for name in found[0]}


def stack(*columns: np.ndarray | csr_array) -> csr_array:
    """Columns side by side: vectors of shape [examples], or matrices of shape [examples, n]."""
    whole = [c if c.ndim == 2 else c[:, np.newaxis] for c in columns]
    return csr_array(hstack([csr_array(c, dtype=np.float64) for c in whole], format="csr"))


def share(part: np.ndarray, whole: np.ndarray, empty: float = 0) -> np.ndarray:
    """Part by whole; `empty` if the whole is 0."""
    shares: np.ndarray = np.full(np.shape(whole), float(empty))
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
