"""The pipeline compare_schedules, by the command that people use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.cli.local.tensorboard import logs_of
from tests import tiny
from tests.commands import call

SETTINGS = """
dataset: train.csv
model: model
max_length: 16
batch_size: 8
num_train_epochs: 2
candidates:
  - {name: linear, learning_rate: 1e-2}
  - {name: huge, learning_rate: 1e30, lr_scheduler_type: constant}
"""


def run(folder: Path, *arguments: str) -> str:
    done = call(folder, "run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def record(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "runs" / name / "run.json").read_text())
    return loaded


@pytest.mark.slow
def test_candidates_are_trained_ranked_and_not_trained_again(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model")
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(120))
    (tmp_path / "two.yaml").write_text(SETTINGS)
    compare = ["--pipeline", "compare_schedules", "--config"]
    out = run(tmp_path, *compare, "two.yaml", "--name", "two")
    assert "2/2 huge: finetune: done" in out
    made = record(tmp_path, "two")
    # A divergence is a result; every step ran once for each candidate.
    turns = [f"{i}/{step}" for i in (0, 1) for step in ("build_optimizer", "finetune", "evaluate")]
    assert list(made["steps"]) == ["load_data", "count_steps", *turns, "rank"]
    assert [(c["name"], c["diagnosis"] == "diverged") for c in made["candidates"]] == [
        ("linear", False),
        ("huge", True),
    ]
    assert all(c["attempts"][0]["seconds"] > 0 for c in made["candidates"])
    assert "linear is best" in (tmp_path / "runs" / "two" / "report.html").read_text()
    assert [title.name for title in logs_of(tmp_path / "runs" / "two")] == ["linear", "huge"]

    assert "linear, best of 2" in call(tmp_path, "runs").stdout

    # The same settings alone give the same model, bit for bit.
    alone = ["--dataset", "train.csv", "--model", "model", "--max-length", "16"]
    alone += ["--batch-size", "8", "--num-train-epochs", "2", "--learning-rate", "1e-2"]
    run(tmp_path, *alone, "--name", "alone", "--no-cache")
    steps = [tmp_path / "runs" / name / "steps" for name in ("two", "alone")]
    weights = "finetune/model/model.safetensors"
    expected = (steps[1] / weights).read_bytes()
    assert (steps[0] / "0" / weights).read_bytes() == expected
    assert (steps[0] / "rank/model/model.safetensors").read_bytes() == expected
    assert made["metrics"] == record(tmp_path, "alone")["metrics"]

    # Another candidate before them: only that one is trained.
    more = SETTINGS.replace("candidates:", "candidates:\n  - {name: slow, learning_rate: 1e-4}")
    (tmp_path / "three.yaml").write_text(more)
    run(tmp_path, *compare, "three.yaml", "--name", "three")
    cached = {name: step["cached"] for name, step in record(tmp_path, "three")["steps"].items()}
    assert [n for n, hit in cached.items() if not hit and n != "rank"] == [
        "0/build_optimizer",
        "0/finetune",
        "0/evaluate",
    ]


@pytest.mark.slow
def test_what_is_no_result_of_a_candidate_fails_the_run(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model", max_position_embeddings=8)  # fewer than max_length
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(60))
    (tmp_path / "two.yaml").write_text(SETTINGS)
    done = call(tmp_path, "run", "--pipeline", "compare_schedules", "--config", "two.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
