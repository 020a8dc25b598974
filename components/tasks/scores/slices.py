"""Scores of parts of a split: by length, and by the values of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from kfp_finetune.components.artifacts.metrics import Slice
from kfp_finetune.components.tasks.scores.tally import Tally

LENGTH, LABEL = "tokens", "label"
MOST_VALUES = 20  # of a column; rarer values are scored together


def by_length(scored: Tally, lengths: np.ndarray, max_length: int) -> list[Slice]:
    """The slices by length.

    Args:
        scored: The contribution of every example to the scores.
        lengths: Tokens of each, shape [examples].
        max_length: Tokens at which texts were truncated.
    """
    return by_group(scored, LENGTH, *_lengths(lengths, max_length))


def by_column(scored: Tally, column: str, values: Sequence[str | None]) -> list[Slice]:
    """The slices by a column's values, the most frequent first.

    Args:
        scored: The contribution of every example to the scores.
        column: The column.
        values: The values of each example.
    """
    return by_group(scored, column, *_values(values))


def by_group(scored: Tally, by: str, groups: np.ndarray, names: list[str]) -> list[Slice]:
    """The slices if every example is in one.

    Args:
        scored: The contribution of every example to the scores.
        by: Name of the grouping.
        groups: Each example's group, shape [examples].
        names: The names of the groups.
    """
    members = csr_array(
        (np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(len(names), len(groups))
    )
    return by_membership(scored, by, members, names)


def by_membership(scored: Tally, by: str, members: csr_array, names: list[str]) -> list[Slice]:
    """The slices if an example is in any number of them; empty slices are omitted.

    Args:
        scored: The contribution of every example to the scores.
        by: Name of the grouping.
        members: 1 if an example is in a slice, shape [slices, examples].
        names: The names of the slices.
    """
    sizes = members.sum(axis=1).astype(int)
    kept = np.flatnonzero(sizes)  # the mean of no examples is undefined
    return [
        Slice(by=by, value=names[i], num_examples=int(sizes[i]), metrics=metrics)
        for i, metrics in zip(kept.tolist(), scored.scores(members[kept]), strict=True)
    ]


def _lengths(lengths: np.ndarray, max_length: int) -> tuple[np.ndarray, list[str]]:
    """Powers of two; texts of the maximum length, most of them truncated, are a slice."""
    edges = [8]
    while edges[-1] < max_length - 1:
        edges.append(2 * edges[-1])
    edges[-1] = max_length - 1
    lows = [1, *(edge + 1 for edge in edges[:-1])]
    names = [f"{low} to {high}" for low, high in zip(lows, edges, strict=True)]
    return np.searchsorted(edges, lengths), [*names, f"{max_length} (the maximum)"]


def _values(values: Sequence[str | None]) -> tuple[np.ndarray, list[str]]:
    counts = Counter(values)
    ordered = sorted(counts, key=lambda value: (-counts[value], value is None, value or ""))
    numbers = {value: min(i, MOST_VALUES) for i, value in enumerate(ordered)}
    names = ["(empty)" if value is None else value for value in ordered[:MOST_VALUES]]
    if len(ordered) > MOST_VALUES:
        names.append(f"{len(ordered) - MOST_VALUES:,} rarer values")
    return np.array([numbers[value] for value in values]), names
