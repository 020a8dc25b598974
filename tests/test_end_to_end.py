"""The real command on real steps: what a person does, and what they get.

A run takes half a minute, most of it to import TensorFlow. The tests share the run named first.
That the same run twice gives the same bits, test_resume.py and test_comparison.py show.
"""

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
from huggingface_hub import ModelCard

from kfp_finetune.local.execution import _environment
from tests import tiny
from tests.commands import call, call_here

DATA = ["--dataset", "train.csv", "--model", "model"]
FIRST = [*DATA, "--num-train-epochs", "10", "--batch-size", "8", "--learning-rate", "1e-2"]
STEPS = ["load_data", "count_steps", "build_optimizer", "finetune", "evaluate"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call(folder, "run", *arguments)


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


@pytest.fixture(scope="module")
def first(work: Path) -> subprocess.CompletedProcess[str]:
    """A run named first that learns; several tests look at what it leaves."""
    done = run(work, *FIRST, "--name", "first")
    assert done.returncode == 0, done.stderr
    return done


def test_from_data_to_report(work: Path, first: subprocess.CompletedProcess[str]) -> None:
    assert "96 examples ÷ 8 = 12 steps × 10 epochs = 120 steps (last batch 8)" in first.stdout
    made = record(work, "first")
    assert made["status"] == "succeeded"
    assert list(made["steps"]) == STEPS
    assert made["outputs"] == {
        "hidden_size": 16,
        "learning_rate": 1e-2,
        "max_length": 40,
        "num_train_epochs": 10.0,
        "num_train_examples": 96,
        "num_validation_examples": 12,
        "num_test_examples": 12,
        "num_labels": 3,
        "steps_per_epoch": 12,
        "num_train_steps": 120,
    }
    assert {"accuracy", "macro_f1", "loss"} <= made["metrics"].keys()
    assert made["metrics"]["accuracy"] > 0.5  # one word decides the label
    assert made["validation_metrics"].keys() == {"loss", "accuracy", "macro_f1"}
    assert all((work / "runs" / "first" / path).exists() for path in made["artifacts"].values())
    assert {"tokenized_dataset", "optimizer_config", "model", "tensorboard_logs", "report"} <= set(
        made["artifacts"]
    )
    report = (work / "runs" / "first" / "report.html").read_text()
    assert "Confusion matrix" in report


def test_other_training_settings_use_the_same_data(
    work: Path, first: subprocess.CompletedProcess[str]
) -> None:
    changed = ["--num-train-epochs", "1", "--batch-size", "16", "--learning-rate", "1e-3"]
    second = run(work, *DATA, *changed, "--name", "second")
    assert second.returncode == 0, second.stderr
    steps = record(work, "second")["steps"]
    assert (steps["load_data"]["cached"], steps["load_data"]["cached_from"]) == (True, "first")
    assert [steps[name]["cached"] for name in STEPS[1:]] == [False] * 4
    log = (work / "runs" / "second" / "run.log").read_text()
    assert "Executing task 'load_data'" not in log.replace("\x1b[96m", "").replace("\x1b[0m", "")


@pytest.mark.slow
def test_a_trained_model_is_exported_and_trained_further(
    work: Path, first: subprocess.CompletedProcess[str]
) -> None:
    model = work / "runs" / "first" / "steps" / "finetune" / "model"
    assert json.loads((model / "manifest.json").read_text())["weights_format"] == "pt"
    done = call(work, "export", "first", "-o", "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote out; verified: reloaded logits are identical\n"
    weights = (work / "out" / "model.safetensors").read_bytes()
    assert weights == (model / "model.safetensors").read_bytes()
    card = ModelCard.load(work / "out" / "README.md")
    accuracy = next(r for r in card.data.eval_results if r.metric_name == "accuracy")
    assert accuracy.metric_value == pytest.approx(
        record(work, "first")["metrics"]["accuracy"], abs=1e-6
    )
    assert "| delivery | 32 | 4 | 4 |" in card.text
    again = call_here(work, "export", "first", "-o", "out")
    assert again.returncode == 2 and "the folder is not empty" in again.stderr

    more = ["--model", "first", "--max-steps", "1", "--name", "further"]
    further = run(work, *DATA, *more)
    assert further.returncode == 0, further.stderr
    assert "new weights" in first.stdout and "new weights" not in further.stdout
    made = record(work, "further")
    assert made["parameters"]["model"] == str(model)
    # As many tokens as the model reads, and the highest rate, because the model is small.
    assert made["chosen"] == {"max_length": 40, "learning_rate": 5e-4}
    report = (work / "runs" / "further" / "report.html").read_text()
    assert "0.0005, the default for hidden size 16" in report

    shutil.move(work / "runs" / "further", work / "moved")
    said = call(work, "predict", "moved", "parcel late")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("parcel late\n")
    # The others need the run whole: damage a copy.
    shutil.copytree(work / "runs" / "first", work / "damaged")
    damaged = work / "damaged" / model.relative_to(work / "runs" / "first")
    (damaged / "model.safetensors").write_bytes(weights[:-100])
    done = call_here(work, "export", "damaged", "-o", "other")
    assert done.returncode == 2 and "the file is damaged" in done.stderr
    assert not (work / "other").exists()


# A case or two for every place where a run may end; tests/load_data checks the other messages.
WRONG = {
    "a missing file": (["--dataset", "nothing.csv"], "there is no file"),
    "an unknown column": (["--label-column", "lable"], "there is no column 'lable'"),
    "no tokenizer": (["--model", "bare"], "no tokenizer"),
    "batch size 0": (["--batch-size", "0"], "batch_size is 0"),
    "negative epochs": (["--num-train-epochs", "-1"], "num_train_epochs is -1"),
    "a negative rate": (["--learning-rate", "-1e-5"], "learning_rate is -1e-05"),
    "warmup over all steps": (["--warmup-steps", "999"], "warmup takes 999 of 36 steps"),
    "an unknown schedule": (
        ["--lr-scheduler-type", "triangle"],
        "one of constant, linear, polynomial, cosine, cosine_with_restarts, ",
    ),
}

# Found before data is loaded: there is no run.
NO_RUN = {
    "a missing file",
    "batch size 0",
    "negative epochs",
    "a negative rate",
    "an unknown schedule",
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_reported_once_and_leaves_nothing(case: str, work: Path) -> None:
    (work / "bare").mkdir(exist_ok=True)
    (work / "bare" / "config.json").write_text((work / "model" / "config.json").read_text())
    arguments, message = WRONG[case]
    defaults = {"--dataset": "train.csv", "--model": "model", "--max-length": "16"}
    defaults |= {"--batch-size": "8", "--num-train-epochs": "3", "--name": case.replace(" ", "-")}
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


def test_a_path_may_hold_anything(work: Path, tmp_path: Path) -> None:
    """KFP replaces python3 all over a task's command, and many a path contains that word."""
    folder = tmp_path / "lib/python3.11/it's python3 data"
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


@pytest.mark.slow
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
        *("--max-steps", "4", "--name", "banking", "--learning-rate", "1e-3"),
    )
    assert done.returncode == 0, done.stderr
    made = record(tmp_path, "banking")
    assert (
        made["outputs"]["num_train_examples"] + made["outputs"]["num_validation_examples"] == 10_003
    )
    assert made["outputs"]["num_labels"] == 77
    assert made["outputs"]["num_train_steps"] == 4
    log = tmp_path / "runs" / "banking" / made["artifacts"]["model"] / "training_log.jsonl"
    updates = [json.loads(line) for line in log.read_text().splitlines()]
    rates = [r["learning_rate"] for r in updates if "learning_rate" in r]
    np.testing.assert_allclose(rates, 1e-3 * (1 - np.arange(4) / 4), rtol=1e-6)
