"""`kfp-finetune find-lr` and `run --learning-rate auto`."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests import tiny
from tests.commands import call


@pytest.mark.slow
def test_a_rate_is_found_and_trained_with(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model", num_hidden_layers=2)
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(240))
    given = ["--dataset", "train.csv", "--model", "model", "--max-length", "16"]
    given += ["--num-train-epochs", "30"]
    found = call(tmp_path, "find-lr", *given, "--name", "test")
    assert found.returncode == 0, found.stdout + found.stderr
    # The cost is printed before the training.
    cost = "range test: 90 steps, 50% of the 180 steps"
    assert found.stdout.index(cost) < found.stdout.index("finetune: started")
    last = max((tmp_path / "runs").glob("test*"))  # the longer test, if there was one
    rate = float(found.stdout.rpartition("\nlearning rate ")[2].split()[0])
    page = (last / "find_lr.html").read_text()
    assert f"Peak {rate:.3g}" in page
    command = f"--num-train-epochs 30 --learning-rate {rate:g}"
    assert command in found.stdout
    assert f"<span>--learning-rate {rate:g}</span>" in page
    # The model is not scored, and does not take part in a ranking.
    record = json.loads((tmp_path / "runs" / "test" / "run.json").read_text())
    assert record["outputs"]["num_train_steps"] == 90
    assert "evaluate" not in record["steps"]
    assert not (last / "report.html").exists()
    assert (record["purpose"], record["validation_metrics"]) == ("range_test", {})

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
    for again in (tmp_path / "runs").glob("find-lr-*/run.json"):
        assert all(step["cached"] for step in json.loads(again.read_text())["steps"].values())
    listed = call(tmp_path, "runs", "--wide", "--sort", "accuracy").stdout.splitlines()
    assert listed[1].startswith("trained")
    tests = [line for line in listed[2:] if line.startswith(("test", "find-lr"))]
    assert tests and all("range test" in line and "0." not in line for line in tests)


@pytest.mark.slow
def test_where_nothing_is_learned_the_default_is_used(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "model", num_hidden_layers=2)
    # Every word is unknown to the model, so all texts are the same to it.
    rows = [{"text": f"qqq{i}", "label": label} for i, label in enumerate(["a", "b"] * 60)]
    tiny.write_csv(tmp_path / "train.csv", rows)
    given = ["--dataset", "train.csv", "--model", "model", "--max-length", "16"]
    found = call(tmp_path, "find-lr", *given, "--name", "test")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "not clearly below that of a constant answer, 0.69" in found.stdout
    assert "testing once more with 300 steps" in found.stdout
    assert "no learning rate found" in found.stdout
    assert "--learning-rate 0.0005" in found.stdout
    page = (tmp_path / "runs" / "test-longer" / "find_lr.html").read_text()
    assert "No learning rate found" in page
    # The command that is printed is one that works: only the name is taken.
    pasted = re.search(r"kfp-finetune run (--dataset .*)", found.stdout)
    assert pasted is not None
    checked = call(tmp_path, "run", *shlex.split(pasted[1]), "--name", "test")
    assert checked.stderr.startswith("error: run 'test' already exists\n"), checked.stderr


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
