"""The real command, killed, interrupted and resumed: its results equal an uninterrupted run's.

Each start of a training takes seconds, so one run goes through several interruptions. Every other
kind of interruption and what differs after it: tests/finetune/test_checkpoints.py.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny

COMMAND = Path(sys.executable).with_name("kfp-finetune")
OPTIONS = [
    *("--dataset", "train.csv", "--model", "model", "--max-length", "16"),
    *("--num-train-epochs", "20", "--batch-size", "8", "--learning-rate", "1e-3"),
    *("--checkpoint-every-steps", "5"),
]
STEPS = 240


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with data and a model, and no run that the cache could serve."""
    tiny.write_model(tmp_path / "model", num_hidden_layers=2)
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(120))
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    tiny.write_model(folder / "model", num_hidden_layers=2)
    tiny.write_csv(folder / "train.csv", tiny.rows(120))
    command(folder, "run", *OPTIONS, "--name", "whole")
    assert refused(folder, "resume", "whole") == (
        "error: run 'whole' has succeeded\n"
        f"  where:    {folder / 'runs' / 'whole'}\n"
        "  expected: a killed, interrupted or failed run\n"
        "  remedy:   start a new run with kfp-finetune run\n"
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


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait(process: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    """Wait until a condition holds, while a process runs."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


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


@pytest.mark.slow
def test_a_run_killed_at_a_random_moment_and_interrupted_equals_one_that_was_not(
    work: Path, whole: dict[str, Any]
) -> None:
    assert "error: there is no run 'nothing'" in refused(work, "resume", "nothing")
    process = start(work, "run", *OPTIONS, "--name", "one")
    wait(process, lambda: (work / "runs" / "one" / "run.json").exists())
    message = refused(work, "resume", "one")
    assert message.startswith(f"error: run 'one' is still running in process {process.pid}\n")
    wait(process, lambda: checkpoints(work, "one"))
    time.sleep(random.uniform(0, 0.5))
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while processes_of(work, "one"):  # when the CLI dies, its steps die
        assert time.monotonic() < deadline
        time.sleep(0.1)
    killed = checkpoints(work, "one")[-1]
    assert 0 < killed < STEPS, "it was to be killed in the middle"

    data = (work / "train.csv").read_bytes()
    (work / "train.csv").write_bytes(data + b"parcel early,delivery\n")
    assert refused(work, "resume", "one") == (
        "error: the dataset has changed since the run started\n"
        f"  where:    {work / 'train.csv'}\n"
        "  expected: the dataset that the run started with\n"
        "  remedy:   restore it, or start a new run with kfp-finetune run\n"
    )
    (work / "train.csv").write_bytes(data)

    process = start(work, "resume", "one")
    wait(process, lambda: checkpoints(work, "one")[-1] > killed)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"finetune: continues after {killed:,} of {STEPS} steps" in said
    assert "to continue: kfp-finetune resume one\n" in said
    assert record(work, "one")["status"] == "interrupted"
    stopped = checkpoints(work, "one")[-1]
    assert (
        f"terminated after step {stopped:,}; the last checkpoint is that of step {stopped:,} in"
        in (work / "runs" / "one" / "run.log").read_text()
    )

    said = command(work, "resume", "runs/one")
    assert f"finetune: continues after {stopped:,} of {STEPS} steps" in said
    assert record(work, "one")["status"] == "succeeded"
    assert record(work, "one")["resumed_at"] == [killed, stopped]
    assert results(work, "one") == whole
    assert not (work / "runs" / "one" / "checkpoints").exists()


@pytest.mark.slow
def test_a_training_saved_elsewhere_is_not_resumed_unasked(
    work: Path, whole: dict[str, Any]
) -> None:
    elsewhere = work / "saved"
    process = start(work, "run", *OPTIONS, "--name", "one", "--checkpoint-dir", str(elsewhere))
    wait(process, lambda: list(elsewhere.glob("step-*/checkpoint.json")))
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    message = refused(work, "run", *OPTIONS, "--name", "two", "--checkpoint-dir", str(elsewhere))
    assert f"the directory has checkpoints of another run, {work / 'runs' / 'one'}" in message
    said = command(work, "resume", "one")
    assert "finetune: continues after" in said
    assert results(work, "one") == whole
    assert elsewhere.exists()
