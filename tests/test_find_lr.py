"""`kfp-finetune find-lr` and `run --learning-rate auto`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import tiny
from tests.commands import call


@pytest.mark.slow
def test_a_rate_is_found_and_trained_with(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model")
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(240))
    given = ["--dataset", "train.csv", "--model", "model", "--max-length", "16"]
    given += ["--num-train-epochs", "1"]
    found = call(tmp_path, "find-lr", *given, "--name", "test")
    assert found.returncode == 0, found.stdout + found.stderr
    folder = tmp_path / "runs" / "test"
    rate = float(found.stdout.partition("\nlearning rate ")[2].split()[0])
    assert f"Peak {rate:.3g}" in (folder / "find_lr.html").read_text()
    # It is a run like another: 200 planned updates, with their curves in TensorBoard.
    record = json.loads((folder / "run.json").read_text())
    assert record["outputs"]["num_train_steps"] == 200

    done = call(
        tmp_path, "run", *given, "--learning-rate", "auto",
        "--name", "trained", "--checkpoint-dir", "saved",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    trained = json.loads((tmp_path / "runs" / "trained" / "run.json").read_text())
    assert trained["parameters"]["learning_rate"] == rate
    assert trained["parameters"]["on_divergence"] == "fail"
    assert trained["steps"]["load_data"]["cached"]
    # The same range test is not trained again.
    (again,) = (tmp_path / "runs").glob("find-lr-*/run.json")
    assert all(step["cached"] for step in json.loads(again.read_text())["steps"].values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit", "--host", "http://localhost:1"], "--learning-rate is 'auto'"),
        (["rerun", "some", "--host", "http://localhost:1"], "--learning-rate is 'auto'"),
        (["run", "--pipeline", "compare_schedules"], "trains with several learning rates"),
    ],
)
def test_where_it_cannot_be_found_it_is_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = call(tmp_path, *arguments, "--learning-rate", "auto")
    assert done.returncode == 2
    assert message in done.stderr


def test_a_rate_that_is_no_number(tmp_path: Path) -> None:
    done = call(tmp_path, "run", "--learning-rate", "fast")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --learning-rate is 'fast'\n")
