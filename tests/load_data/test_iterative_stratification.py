"""Every split has its share of every label, and exactly its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_finetune.components.load_data.iterative_stratification import split_by_labels
from kfp_finetune.components.load_data.opening import ReadOptions, open_source

# Rows of several labels cannot meet every share to the row; these are what is met.
ROWS_OFF = 2.5
FRACTIONS = [(0.1, 0.1), (0.3,), (0.2, 0.05), (0.45, 0.45)]


def split(
    rows: list[list[int]], fractions: tuple[float, ...], seed: int
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The sizes wished, the splits, and how many rows more than its share [split, label] has."""
    sizes = [round(fraction * len(rows)) for fraction in fractions]
    sizes = [len(rows) - sum(sizes), *sizes]
    numbers: dict[tuple[int, ...], int] = {}
    of_rows = np.array([numbers.setdefault(tuple(ids), len(numbers)) for ids in rows], np.int32)
    chosen = split_by_labels(list(map(list, numbers)), of_rows, sizes, seed)
    assert (
        chosen.tolist() == split_by_labels(list(map(list, numbers)), of_rows, sizes, seed).tolist()
    )
    counts = np.zeros((len(sizes), 1 + max((max(ids, default=0) for ids in rows), default=0)))
    for ids, number in zip(rows, chosen.tolist(), strict=True):
        counts[number, ids] += 1
    shares = np.outer(np.array(sizes) / len(rows), counts.sum(axis=0))
    assert (counts[0] > 0).tolist() == (counts.sum(axis=0) > 0).tolist()
    return sizes, chosen, counts - shares


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    labels=st.integers(2, 28),
    each=st.floats(0.02, 0.1),
    number=st.integers(100, 600),
    fractions=st.sampled_from(FRACTIONS[:3]),
    seed=st.integers(0, 10_000),
)
def test_every_label_and_every_size_is_as_wished(
    labels: int, each: float, number: int, fractions: tuple[float, ...], seed: int
) -> None:
    random = np.random.default_rng(seed)
    often = each * random.uniform(0.1, 2, labels)
    marks = random.random((number, labels)) < often
    rows = [np.flatnonzero(row).tolist() for row in marks]
    sizes, chosen, more = split(rows, fractions, seed)
    assert np.bincount(chosen, minlength=len(sizes)).tolist() == sizes
    assert np.abs(more).max() < ROWS_OFF


@settings(deadline=None, derandomize=True)
@given(
    rows=st.lists(st.sets(st.integers(0, 9), max_size=4).map(sorted), min_size=1, max_size=60),
    fractions=st.sampled_from(FRACTIONS),
    seed=st.integers(0, 99),
)
def test_training_gets_a_row_of_every_label_of_few_rows(
    rows: list[list[int]], fractions: tuple[float, ...], seed: int
) -> None:
    sizes, chosen, _ = split(rows, fractions, seed)
    found = np.bincount(chosen, minlength=len(sizes))
    assert found.sum() == len(rows)
    assert all(found[1:] <= sizes[1:])


def test_rows_of_one_label_each_are_off_by_less_than_one() -> None:
    rows = [[i % 7 if i % 3 else 7] for i in range(997)]
    sizes, chosen, more = split(rows, (0.1, 0.1), 3)
    assert np.bincount(chosen).tolist() == sizes
    assert np.abs(more).max() < 1


@pytest.mark.real
@pytest.mark.parametrize("fractions", FRACTIONS)
def test_goemotions(fractions: tuple[float, ...], shared: Path) -> None:
    source = open_source(
        str(shared / "data/goemotions/data/original/train.tsv"),
        options=ReadOptions(column_names=("text", "labels", "id")),
    )
    rows = [
        sorted(map(int, cell.split(",")))
        for batch in source.read()
        for cell in batch.columns["labels"]
    ]
    sizes, chosen, more = split(rows, fractions, 42)
    assert np.bincount(chosen).tolist() == sizes
    assert np.abs(more).max() < ROWS_OFF
