"""The pipeline compare_schedules, by the command that people use."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.cli.local.tensorboard import logs_of
from kfp_finetune.components.artifacts import leaderboard
from tests import tiny
from tests.commands import call

LINEAR = """
dataset: train.csv
model: model
max_length: 16
batch_size: 8
num_train_epochs: 2
load_best_model_at_end: true
metric_for_best_model: macro_f1
candidates:
  - {name: linear, learning_rate: 1e-2}
"""
# Another candidate before the first.
BOTH = LINEAR.replace(
    "candidates:",
    "candidates:\n  - {name: huge, learning_rate: 1e30, lr_scheduler_type: constant}",
)


def run(folder: Path, *arguments: str) -> str:
    done = call(folder, "run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def record(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "runs" / name / "run.json").read_text())
    return loaded


def command_of_best(folder: Path) -> list[str]:
    """The words after `kfp-finetune run` in the command that the page ends with."""
    page = (folder / "report.html").read_text()
    shown = page.partition('<section id="best">')[2].partition("</section>")[0]
    line = shown.partition('<p class="command">')[2].partition("</p>")[0]
    program, subcommand, *words = shlex.split(html.unescape(re.sub(r"<[^>]+>", "", line)))
    assert (program, subcommand) == ("kfp-finetune", "run")
    return words


@pytest.mark.slow
def test_candidates_are_trained_ranked_and_not_trained_again(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model", num_hidden_layers=2)
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(120))
    (tmp_path / "one.yaml").write_text(LINEAR)
    (tmp_path / "two.yaml").write_text(BOTH)
    compare = ["--pipeline", "compare_schedules", "--config"]
    run(tmp_path, *compare, "one.yaml", "--name", "one")
    out = run(tmp_path, *compare, "two.yaml", "--name", "two")
    assert "1/2 huge: finetune: done" in out
    made = record(tmp_path, "two")
    # A divergence is a result; every step ran once for each candidate, the better one is first.
    trials = [f"{i}/{step}" for i in (0, 1) for step in ("build_optimizer", "finetune", "evaluate")]
    assert list(made["steps"]) == ["load_data", "count_steps", *trials, "rank"]
    assert [(c["name"], c["diagnosis"] == "diverged") for c in made["candidates"]] == [
        ("linear", False),
        ("huge", True),
    ]
    assert all(c["attempts"][0]["seconds"] > 0 for c in made["candidates"])
    board = leaderboard.read(tmp_path / "runs" / "two" / made["artifacts"]["leaderboard"])
    linear = board.candidates[0]
    assert (board.metric, linear.mean) == ("macro_f1", made["validation_metrics"]["macro_f1"])
    assert linear.interval and linear.interval[0] <= linear.mean <= linear.interval[1]
    assert "best validation_macro_f1 first" in call(tmp_path, "runs").stdout
    # A tiny model learns nothing of 120 rows in two epochs, and so is not called the best.
    assert (
        "No candidate learned anything" in (tmp_path / "runs" / "two" / "report.html").read_text()
    )
    assert [title.name for title in logs_of(tmp_path / "runs" / "two")] == ["huge", "linear"]
    assert "linear, first of 2" in call(tmp_path, "runs").stdout
    # Only the new candidate was trained.
    fresh = [name for name, step in made["steps"].items() if not step["cached"] and name != "rank"]
    assert fresh == ["0/build_optimizer", "0/finetune", "0/evaluate"]

    # The command below the winner, pasted, gives the same model, bit for bit.
    run(tmp_path, *command_of_best(tmp_path / "runs/two"), "--name", "alone", "--no-cache")
    steps = [tmp_path / "runs" / name / "steps" for name in ("two", "alone")]
    weights = "finetune/model/model.safetensors"
    expected = (steps[1] / weights).read_bytes()
    assert (steps[0] / "1" / weights).read_bytes() == expected
    assert (steps[0] / "rank/model/model.safetensors").read_bytes() == expected
    assert made["metrics"] == record(tmp_path, "alone")["metrics"]


@pytest.mark.slow
def test_what_is_no_result_of_a_candidate_fails_the_run(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model", max_position_embeddings=8)  # fewer than max_length
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(60))
    (tmp_path / "two.yaml").write_text(BOTH)
    done = call(tmp_path, "run", "--pipeline", "compare_schedules", "--config", "two.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
