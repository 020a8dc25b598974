"""Of a very long run some steps are kept, so that nothing grows with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.finetune.history import History, LogRows
from kfp_finetune.components.load_data import sampling
from tests.finetune.runs import Run


@pytest.mark.slow
def test_of_a_very_long_run_some_steps_are_kept_also_where_it_was_killed(
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Run(tmp_path / "all", tiny_data, tiny_model)
    whole()
    every = {tag: dict(points) for tag, points in whole.curves().items()}
    monkeypatch.setattr(sampling, "MOST_STEPS_KEPT", 8)
    some = Run(tmp_path / "some", tiny_data, tiny_model)
    some.killed_at(8, kill)
    assert some().resumed_at == [6]
    for tag, points in some.curves().items():
        steps = [0, 4, 8, 12, 16, 20, 24, 25] if tag.startswith("train/") else [13, 26]
        assert [step for step, _ in points] == steps
        rtol = 1e-6 if tag == "train/learning_rate" else 1e-3
        assert [v for _, v in points] == pytest.approx([every[tag][s] for s in steps], rel=rtol)
    records = model_artifact.read_training_log(some.folder / "model")
    assert [r["step"] for r in records if "validation" not in r] == [0, 4, 8, 12, 16, 20, 24, 25]


def test_tables_do_not_grow_beyond_the_steps_that_are_kept() -> None:
    for steps, rows in ((1, 1), (100_000, 100_000), (100_001, 50_002), (10**9, 100_001)):
        assert len(History.of(steps).times) == rows
    kept = LogRows(10**9)
    assert kept.of(0) == 0 and kept.of(10_000) == 1 and kept.of(10**9 - 1) == 100_000
    assert kept.written(0, 20_002) == [(0, 0), (10_000, 1), (20_000, 2), (20_001, 100_000)]
