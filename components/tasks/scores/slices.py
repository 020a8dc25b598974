"""Scores of parts of the split: short and long texts, each label, each value of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from kfp_finetune.components.artifacts.metrics import Slice
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import slice_name
from kfp_finetune.components.tasks.predictions import Predictions
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION
from kfp_finetune.components.tasks.scores.measure import tally
from kfp_finetune.components.tasks.scores.tally import Tally

LENGTH, LABEL = "tokens", "label"
MOST_VALUES = 20  # of a column; the rarer ones are taken together
_QUARTERS = 4
# Of one label's examples the averages over labels say nothing.
_OF_A_LABEL = ("accuracy", "micro_f1", "subset_accuracy", "loss", "mae", "rmse", "mean_error")


def score_slices(
    predictions: Predictions, model: ModelManifest, columns: Sequence[str], max_length: int
) -> list[Slice]:
    """Score every slice with at least one example.

    Args:
        predictions: Of the split.
        model: The model's manifest.
        columns: The slice columns that the split has.
        max_length: Tokens at which texts were cut.

    Returns:
        By length, by label (for numbers: by quarters of their range of values), and by each
        column's values, the most frequent first.
    """
    scored = tally(model.problem_type, predictions.labels, predictions.logits, model.thresholds)
    found = by_length(scored, predictions.lengths, max_length)
    found += [
        part.model_copy(
            update={"metrics": {n: v for n, v in part.metrics.items() if n in _OF_A_LABEL}}
        )
        for part in _labels(scored, predictions, model)
    ]
    for column in columns:
        found += by_column(scored, column, predictions.table[slice_name(column)].to_pylist())
    return found


def by_length(scored: Tally, lengths: np.ndarray, max_length: int) -> list[Slice]:
    """The slices by length.

    Args:
        scored: What every example adds to the scores.
        lengths: Tokens of each, shape [examples].
        max_length: Tokens at which texts were cut.
    """
    return _by_group(scored, LENGTH, *_lengths(lengths, max_length))


def by_column(scored: Tally, column: str, values: Sequence[str | None]) -> list[Slice]:
    """The slices by a column's values, the most frequent first.

    Args:
        scored: What every example adds to the scores.
        column: The column.
        values: Of each example.
    """
    return _by_group(scored, column, *_values(values))


def _by_group(scored: Tally, by: str, groups: np.ndarray, names: list[str]) -> list[Slice]:
    """The slices of a split in which every example is in one.

    Args:
        scored: What every example adds to the scores.
        by: What the examples are grouped by.
        groups: Each example's group, shape [examples].
        names: Of the groups.
    """
    members = csr_array(
        (np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(len(names), len(groups))
    )
    return _scored(scored, by, members, names)


def _scored(scored: Tally, by: str, members: csr_array, names: list[str]) -> list[Slice]:
    sizes = members.sum(axis=1).astype(int)
    kept = np.flatnonzero(sizes)  # the mean of no examples is not defined
    return [
        Slice(by=by, value=names[i], num_examples=int(sizes[i]), metrics=metrics)
        for i, metrics in zip(kept.tolist(), scored.scores(members[kept]), strict=True)
    ]


def _lengths(lengths: np.ndarray, max_length: int) -> tuple[np.ndarray, list[str]]:
    """Powers of two; texts as long as can be, most of which have been cut, are on their own."""
    edges = [8]
    while edges[-1] < max_length - 1:
        edges.append(2 * edges[-1])
    edges[-1] = max_length - 1
    lows = [1, *(edge + 1 for edge in edges[:-1])]
    names = [f"{low} to {high}" for low, high in zip(lows, edges, strict=True)]
    return np.searchsorted(edges, lengths), [*names, f"{max_length} (the most)"]


def _labels(scored: Tally, predictions: Predictions, model: ModelManifest) -> list[Slice]:
    labels = predictions.labels
    if model.problem_type == MULTI_LABEL:
        return _scored(scored, LABEL, csr_array(labels.T), model.label_names)
    if model.problem_type != REGRESSION:
        return _by_group(scored, LABEL, labels, model.label_names)
    values = labels[:, 0]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _QUARTERS + 1)))
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    quarters = np.searchsorted(edges[1:-1], values)
    return _by_group(scored, LABEL, quarters, names or [f"{edges[0]:g}"])


def _values(values: Sequence[str | None]) -> tuple[np.ndarray, list[str]]:
    counts = Counter(values)
    ordered = sorted(counts, key=lambda value: (-counts[value], value is None, value or ""))
    numbers = {value: min(i, MOST_VALUES) for i, value in enumerate(ordered)}
    names = ["(empty)" if value is None else value for value in ordered[:MOST_VALUES]]
    if len(ordered) > MOST_VALUES:
        names.append(f"{len(ordered) - MOST_VALUES:,} rarer values")
    return np.array([numbers[value] for value in values]), names
