"""The real command, killed at any moment and resumed: everything that a person has afterwards."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import tiny

COMMAND = Path(sys.executable).with_name("kfp-finetune")
OPTIONS = [
    *("--dataset", "train.csv", "--model", "model", "--max-length", "16"),
    *("--num-train-epochs", "40", "--batch-size", "8", "--learning-rate", "1e-3"),
    *("--checkpoint-every-steps", "7"),
]
STEPS = 480


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with data, a model, and no run whose steps could be taken over."""
    tiny.write_model(tmp_path / "model")
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(120))
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves that was not killed."""
    folder = tmp_path_factory.mktemp("whole")
    tiny.write_model(folder / "model")
    tiny.write_csv(folder / "train.csv", tiny.rows(120))
    command(folder, "run", *OPTIONS, "--name", "whole")
    assert refused(folder, "resume", "whole") == (
        "error: run 'whole' has succeeded\n"
        f"  where:    {folder / 'runs' / 'whole'}\n"
        "  expected: a run that has been killed, interrupted or has failed\n"
        "  remedy:   kfp-finetune run starts another\n"
    )
    return results(folder, "whole")


def command(folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        [COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def refused(folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        [COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2, run.stdout
    return run.stderr


def record(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "runs" / name / "run.json").read_text())
    return loaded


def checkpoints(folder: Path, name: str) -> list[int]:
    found = (folder / "runs" / name / "checkpoints").glob("step-*/checkpoint.json")
    return sorted(int(marker.parent.name.removeprefix("step-")) for marker in found)


def start(folder: Path, name: str, *more: str) -> subprocess.Popen[str]:
    """A run that has saved at least one checkpoint."""
    process = subprocess.Popen(
        [COMMAND, "run", *OPTIONS, "--name", name, *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not checkpoints(folder, name):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    return process


def processes_of(folder: Path, name: str) -> list[int]:
    """The processes whose command line names a run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                said = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder / "runs" / name).encode() in said:
                found.append(int(entry.name))
    return found


def results(folder: Path, name: str) -> dict[str, Any]:
    model = folder / "runs" / name / "steps" / "finetune" / "model"
    told = record(folder, name)
    return {
        "weights": (model / "model.safetensors").read_bytes(),
        "log": (model / "training_log.jsonl").read_text(),
        "metrics": (told["metrics"], told["validation_metrics"]),
        "outputs": told["outputs"],
    }


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_killed_at_a_random_moment_and_resumed_equals_one_that_was_not(
    work: Path, whole: dict[str, Any], seed: int
) -> None:
    name = f"killed-{seed}"
    process = start(work, name)
    time.sleep(random.Random(seed).uniform(0, 3))
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while processes_of(work, name):  # when the CLI dies, its steps die
        assert time.monotonic() < deadline
        time.sleep(0.1)
    saved = checkpoints(work, name)[-1]
    assert 0 < saved < STEPS, "it was to be killed in the middle"

    said = command(work, "resume", name)
    assert f"finetune: goes on after {saved:,} of {STEPS} steps" in said
    assert record(work, name)["status"] == "succeeded"
    assert record(work, name)["resumed_at"] == [saved]
    assert results(work, name) == whole
    assert not (work / "runs" / name / "checkpoints").exists()


@pytest.mark.slow
def test_ctrl_c_saves_first_and_says_how_to_go_on(work: Path, whole: dict[str, Any]) -> None:
    process = start(work, "stopped")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to go on: kfp-finetune resume stopped\n" in said
    assert record(work, "stopped")["status"] == "interrupted"
    saved = checkpoints(work, "stopped")[-1]
    assert (
        f"told to end after step {saved:,}; saved up to step {saved:,} in"
        in (work / "runs" / "stopped" / "run.log").read_text()
    )
    command(work, "resume", "runs/stopped")
    assert record(work, "stopped")["resumed_at"] == [saved]
    assert results(work, "stopped") == whole


@pytest.mark.slow
def test_what_cannot_be_resumed_is_said(work: Path, whole: dict[str, Any]) -> None:
    assert "error: there is no run 'nothing'" in refused(work, "resume", "nothing")
    process = start(work, "going")
    message = refused(work, "resume", "going")
    assert message.startswith(f"error: run 'going' is still going, in process {process.pid}\n")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    data = (work / "train.csv").read_bytes()
    (work / "train.csv").write_bytes(data + b"parcel early,delivery\n")
    try:
        message = refused(work, "resume", "going")
    finally:
        (work / "train.csv").write_bytes(data)
    assert message == (
        "error: the dataset has changed since the run began\n"
        f"  where:    {work / 'train.csv'}\n"
        "  expected: what the run was begun with\n"
        "  remedy:   put it back, or start another with kfp-finetune run\n"
    )
    command(work, "resume", "going")
    assert results(work, "going") == whole


@pytest.mark.slow
def test_a_training_saved_elsewhere_is_not_resumed_unasked(
    work: Path, whole: dict[str, Any]
) -> None:
    elsewhere = work / "saved"
    process = subprocess.Popen(
        [COMMAND, "run", *OPTIONS, "--name", "one", "--checkpoint-dir", str(elsewhere)], cwd=work
    )
    deadline = time.monotonic() + 120
    while not list(elsewhere.glob("step-*/checkpoint.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) == 143
    message = refused(work, "run", *OPTIONS, "--name", "two", "--checkpoint-dir", str(elsewhere))
    assert f"there are checkpoints of another run, {work / 'runs' / 'one'}" in message
    said = command(work, "resume", "one")
    assert "finetune: goes on after" in said
    assert results(work, "one") == whole
    assert elsewhere.exists()
    message = refused(
        work, "run", *OPTIONS, "--name", "three", "--checkpoint-dir", str(elsewhere), "--no-cache"
    )
    assert "(finished)" in message
