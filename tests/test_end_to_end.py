"""The real command on real steps: what a person does, and what they get."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from kfp_finetune.local.execution import _environment
from tests import tiny

COMMAND = Path(sys.executable).with_name("kfp-finetune")
STEPS = ["load_data", "count_steps", "build_optimizer", "finetune", "evaluate"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "run", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def record(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "runs" / name / "run.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a model, as a user would have it."""
    folder = tmp_path_factory.mktemp("work")
    tiny.write_model(folder / "model")
    tiny.write_csv(folder / "train.csv", tiny.rows(120))
    return folder


def test_from_data_to_report(work: Path) -> None:
    arguments = ["--dataset", "train.csv", "--model", "model", "--max-length", "16"]
    ours = ["--num-train-epochs", "10", "--batch-size", "8"]
    first = run(work, *arguments, *ours, "--learning-rate", "1e-2", "--name", "first")
    assert first.returncode == 0, first.stderr
    assert "96 examples ÷ 8 = 12 steps × 10 epochs = 120 steps (last batch 8)" in first.stdout
    made = record(work, "first")
    assert made["status"] == "succeeded"
    assert list(made["steps"]) == STEPS
    assert made["outputs"] == {
        "num_train_examples": 96,
        "num_validation_examples": 12,
        "num_test_examples": 12,
        "num_labels": 3,
        "steps_per_epoch": 12,
        "num_train_steps": 120,
    }
    assert {"accuracy", "macro_f1", "loss"} <= made["metrics"].keys()
    assert made["metrics"]["accuracy"] > 0.5  # one word tells the label
    assert made["validation_metrics"].keys() == {"loss", "accuracy"}
    assert all((work / "runs" / "first" / path).exists() for path in made["artifacts"].values())
    assert {"tokenized_dataset", "optimizer_config", "model", "tensorboard_logs", "report"} <= set(
        made["artifacts"]
    )
    report = (work / "runs" / "first" / "report.html").read_text()
    assert "Confusion matrix" in report

    changed = ["--num-train-epochs", "1", "--batch-size", "16", "--learning-rate", "1e-3"]
    second = run(work, *arguments, *changed, "--name", "second")
    assert second.returncode == 0, second.stderr
    steps = record(work, "second")["steps"]
    assert (steps["load_data"]["cached"], steps["load_data"]["cached_from"]) == (True, "first")
    assert [steps[name]["cached"] for name in STEPS[1:]] == [False] * 4
    log = (work / "runs" / "second" / "run.log").read_text()
    assert "Executing task 'load_data'" not in log.replace("\x1b[96m", "").replace("\x1b[0m", "")


def test_the_same_seed_twice_gives_the_same_bits(work: Path) -> None:
    arguments = ["--dataset", "train.csv", "--model", "model", "--max-length", "16"]
    arguments += ["--max-steps", "15", "--batch-size", "8", "--no-cache"]
    weights = []
    records = []
    for name in ("one", "two"):
        done = run(work, *arguments, "--name", name)
        assert done.returncode == 0, done.stderr
        made = record(work, name)
        assert [step["cached"] for step in made["steps"].values()] == [False] * 5
        weights.append(
            load_file(work / "runs" / name / made["artifacts"]["model"] / "model.safetensors")
        )
        records.append(made)
    assert records[0]["metrics"] == records[1]["metrics"]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


WRONG = {
    "a missing file": (["--dataset", "nothing.csv"], "there is no file"),
    "an unknown column": (["--label-column", "lable"], "there is no column 'lable'"),
    "an empty file": (["--dataset", "empty.csv"], "the file has no rows"),
    "one label only": (["--dataset", "one_label.csv"], "every row has the same label: 'a'"),
    "unique labels": (["--dataset", "ids.csv"], "20 different labels in 20 rows"),
    "no tokenizer": (["--model", "bare"], "no tokenizer"),
    "batch size 0": (["--batch-size", "0"], "batch_size is 0"),
    "0 epochs": (["--num-train-epochs", "0"], "num_train_epochs is 0"),
    "no rows to test on": (["--test-fraction", "0"], "no row is left for the test split"),
    "a negative rate": (["--learning-rate", "-1e-5"], "learning_rate is -1e-05"),
    "warmup over all steps": (["--warmup-steps", "999"], "warmup takes 999 of 36 steps"),
    "an unknown schedule": (
        ["--lr-scheduler-type", "triangle"],
        "one of constant, linear, polynomial, cosine, cosine_with_restarts, ",
    ),
}

# What is found before data is loaded leaves no run.
NO_RUN = {"a missing file", "batch size 0", "0 epochs", "a negative rate", "an unknown schedule"}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_said_once_and_leaves_nothing(case: str, work: Path) -> None:
    (work / "empty.csv").write_text("")
    (work / "one_label.csv").write_text("text,label\n" + "good,a\n" * 20)
    (work / "ids.csv").write_text("text,label\n" + "".join(f"good,{i}\n" for i in range(20)))
    (work / "bare").mkdir(exist_ok=True)
    (work / "bare" / "config.json").write_text((work / "model" / "config.json").read_text())
    arguments, message = WRONG[case]
    defaults = {"--dataset": "train.csv", "--model": "model", "--max-length": "16"}
    defaults |= {"--batch-size": "8", "--name": case.replace(" ", "-")}
    defaults |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    done = run(work, *(part for pair in defaults.items() for part in pair))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count(message) == 1
    for part in ("where:", "expected:", "remedy:"):
        assert part in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (work / "runs" / defaults["--name"]).exists() == (case not in NO_RUN)
    if case in NO_RUN:
        return
    failed = record(work, defaults["--name"])
    assert failed["status"] == "failed"
    assert message in failed["error"]["message"]
    unfinished = [name for name, step in failed["steps"].items() if step["status"] != "succeeded"]
    assert not any((work / "runs" / defaults["--name"] / "steps" / n).exists() for n in unfinished)


@pytest.mark.parametrize("name", ["lib/python3.11/python3 data", "it's here"])
def test_a_path_may_hold_anything(name: str, work: Path, tmp_path: Path) -> None:
    """KFP looks for python3 all over a task's command, where it stands in many a path."""
    folder = tmp_path / name
    shutil.copytree(work / "model", folder / "model")
    tiny.write_csv(folder / "train.csv", tiny.rows(30, seed=3))
    arguments = ["--dataset", str(folder / "train.csv"), "--model", str(folder / "model")]
    arguments += ["--max-length", "16", "--warmup-steps", "999", "--name", "odd"]
    done = run(tmp_path, *arguments)
    assert "warmup takes 999" in done.stderr, done.stderr
    assert record(tmp_path, "odd")["steps"]["load_data"]["status"] == "succeeded"


def test_the_interpreter_may_lie_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "it's a place" / "python"
    interpreter.parent.mkdir()
    interpreter.write_text('#!/bin/sh\necho "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    path = _environment(str(tmp_path))["PATH"]
    said = subprocess.check_output(["sh", "-c", "python3 -m 'a b'"], env={"PATH": path}, text=True)
    assert said == "-m a b\n"


@pytest.mark.real
def test_banking77_with_a_real_checkpoint(shared: Path, tmp_path: Path) -> None:
    data = shared / "data" / "banking77" / "banking_data"
    with (data / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tiny.write_csv(tmp_path / "test.csv", rows[::20])
    done = run(
        tmp_path,
        *("--dataset", str(data / "train.csv"), "--test-dataset", "test.csv"),
        *("--model", str(shared / "models" / "all-MiniLM-L6-v2"), "--validation-fraction", "0.02"),
        *("--text-column", "text", "--label-column", "category"),
        *("--max-steps", "8", "--name", "banking", "--learning-rate", "1e-3"),
    )
    assert done.returncode == 0, done.stderr
    made = record(tmp_path, "banking")
    assert (
        made["outputs"]["num_train_examples"] + made["outputs"]["num_validation_examples"] == 10_003
    )
    assert made["outputs"]["num_labels"] == 77
    assert made["outputs"]["num_train_steps"] == 8
    log = tmp_path / "runs" / "banking" / made["artifacts"]["model"] / "training_log.jsonl"
    updates = [json.loads(line) for line in log.read_text().splitlines()]
    rates = [r["learning_rate"] for r in updates if "learning_rate" in r]
    np.testing.assert_allclose(rates, 1e-3 * (1 - np.arange(8) / 8), rtol=1e-6)
