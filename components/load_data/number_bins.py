"""The distribution of the numbers that a regression learns."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np

from kfp_finetune.components.artifacts.data_report import NumberBin, Numbers

_BINS = 10


def distribution(values: Mapping[str, array[float]]) -> Numbers | None:
    """The range, the mean and a histogram of the numbers of all splits; None without any.

    Args:
        values: The numbers of each split.
    """
    numbers = {split: np.asarray(of_split) for split, of_split in values.items()}
    every = np.concatenate(list(numbers.values())) if numbers else np.zeros(0)
    if not len(every):
        return None
    edges = np.histogram_bin_edges(every, _BINS)
    counts = {split: np.histogram(of_split, edges)[0] for split, of_split in numbers.items()}
    return Numbers(
        lowest=float(every.min()),
        highest=float(every.max()),
        mean=float(every.mean()),
        standard_deviation=float(every.std()),
        bins=[
            NumberBin(
                low=float(edges[i]),
                high=float(edges[i + 1]),
                rows={split: int(found[i]) for split, found in counts.items()},
            )
            for i in range(len(edges) - 1)
        ],
    )
