"""How well a score ranks the examples that have a label before those that have not."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import rankdata


def rank_scores(
    truth: np.ndarray, scores: np.ndarray
) -> tuple[list[float | None], list[float | None]]:
    """ROC-AUC and average precision of each label against the rest, as scikit-learn defines them.

    Made from ranks, which for hundreds of labels takes a tenth of the time.

    Args:
        truth: Whether an example has a label, bool, shape [examples, labels].
        scores: The higher, the likelier, shape [examples, labels].

    Returns:
        The area under the ROC curve and the average precision, of every label; None where not both
        kinds of examples are there.
    """
    areas: list[float | None] = []
    precisions: list[float | None] = []
    for has, score in zip(truth.T, scores.T, strict=True):
        positive = int(has.sum())
        negative = len(has) - positive
        if not positive or not negative:
            areas.append(None)
            precisions.append(None)
            continue
        ranks = rankdata(score)[has]
        areas.append(float((ranks.sum() - positive * (positive + 1) / 2) / (positive * negative)))
        # Of all examples, and of those with the label, how many are ranked at least as high.
        at_least = rankdata(-score, method="max")[has]
        among_own = rankdata(-score[has], method="max")
        # Whatever the order of the examples, to the last bit.
        precisions.append(math.fsum(among_own / at_least) / positive)
    return areas, precisions


def mean_of_known(values: list[float | None]) -> float | None:
    """The mean of those that are defined; None if none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
