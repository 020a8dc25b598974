"""Repeated texts and groups, found a piece at a time in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_finetune.components.load_data import repeats
from kfp_finetune.components.load_data.assignment import assign
from kfp_finetune.components.load_data.readers.source import Source
from kfp_finetune.components.load_data.repeats import find_groups, find_overlap, find_repeats
from kfp_finetune.components.load_data.rows import Rows
from kfp_finetune.components.load_data.splitting import Splitting
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.values import Values

# A few hashes of equal texts, from all over their range.
HASHES = st.lists(st.sampled_from([i * 2**64 // 9 for i in range(9)] + [2**64 - 1]), max_size=60)


@pytest.fixture(params=[2**18, 7])
def rows_per_piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "ROWS_PER_PIECE", request.param)


@pytest.mark.usefixtures("rows_per_piece")
def test_repeats_are_those_of_a_loop_over_the_rows() -> None:
    @settings(deadline=None, derandomize=True)
    @given(texts=HASHES, seed=st.integers(0, 99))
    def check(texts: list[int], seed: int) -> None:
        random = np.random.default_rng(seed)
        labels = random.integers(0, 2, len(texts)).astype(np.int32)
        usable = random.random(len(texts)) < 0.8
        first: dict[int, int] = {}
        copies, contradictions, followers = [], [], []
        for row in np.flatnonzero(usable).tolist():
            if texts[row] not in first:
                first[texts[row]] = row
                continue
            followers.append(row)
            same = labels[row] == labels[first[texts[row]]]
            (copies if same else contradictions).append(row)
        hashes = np.array(texts, np.uint64)
        found = find_repeats(hashes, labels, usable)
        assert found.copies.tolist() == copies
        assert found.contradictions.tolist() == contradictions

        groups = find_groups(hashes, usable)
        assert groups.leaders.tolist() == [first[text] for text in sorted(first)]
        numbers = np.full(len(texts), -1, np.int8)
        groups.spread(np.arange(len(first), dtype=np.int8), numbers)
        assert numbers.tolist() == [
            sorted(first).index(text) if used else -1
            for text, used in zip(texts, usable.tolist(), strict=True)
        ]

        others = random.choice(hashes, len(hashes) // 8) if texts else hashes
        assert find_overlap(hashes, usable, others.copy()).tolist() == [
            row for row in np.flatnonzero(usable).tolist() if hashes[row] in others
        ]

    check()


def _rows(rows: int, *, repeated: bool, grouped: bool) -> Rows:
    random = np.random.default_rng(0)
    texts = random.integers(0, 2**64, rows // 10 if repeated else rows, dtype=np.uint64)
    groups = random.integers(0, 2**64, rows // 10, dtype=np.uint64)
    return Rows(
        source=Source("data.csv", ["text", "label"], lambda: iter(())),
        labels=random.integers(0, 20, rows).astype(np.int32),
        texts=random.choice(texts, rows) if repeated else texts,
        groups=random.choice(groups, rows) if grouped else None,
    )


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "single": ({}, {}),
    "numbers": ({}, {}),
    "several": ({}, {}),
    "several, capped": ({}, {"max_train_samples": 100_000}),
    "repeated": ({"repeated": True}, {}),
    "dropped": ({"repeated": True}, {"drop_duplicates": True, "drop_overlap": True}),
    "grouped": ({"grouped": True}, {}),
    "capped": ({}, {"max_train_samples": 100_000}),
}


@pytest.mark.parametrize("case", CASES)
def test_splitting_takes_at_most_40_bytes_per_row(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The memory of a piece does not grow with the rows, and would hide what does.
    monkeypatch.setattr(repeats, "ROWS_PER_PIECE", 2**12)
    of_rows, how = CASES[case]
    number = 300_000
    names = [f"label {i}" for i in range(20)]
    labels = Labels(SINGLE_LABEL, names, list(range(20)))
    if case == "numbers":
        labels = Labels(REGRESSION, [], [i / 3 for i in range(20)])
    if case.startswith("several"):
        labels = Labels(MULTI_LABEL, names, [sorted({i, i * 7 % 20}) for i in range(20)])
    rows = _rows(number, **({"repeated": False, "grouped": False} | of_rows))
    kept = rows.labels.nbytes + rows.texts.nbytes
    kept += rows.groups.nbytes if rows.groups is not None else 0
    splitting = Splitting({"validation": 0.1, "test": 0.1}, **how)
    tracemalloc.start()
    try:
        assign({"train": rows}, Targets(labels, "label"), Values(), splitting)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (kept + peak) / number < 40
