"""The table of runs, and what is removed from it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
from typing import Any

import pytest

from kfp_finetune.runs.folder import RunFolder
from tests.processes import read_terminal
from tests.toy.command import Cli

SCORES = {"first": 0.9, "second": 0.8, "failed": None, "killed": None}


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """Two runs that succeeded, one that failed and one that was killed."""
    status: dict[str, Any] = {"failed": "failed", "killed": "running"}
    for day, (name, score) in enumerate(SCORES.items(), start=1):
        folder = RunFolder.create(
            cli.folder / "runs",
            name,
            "finetune",
            {
                "dataset": str(cli.folder / "data.csv"),
                "model": "owner/model",
                "lr_scheduler_type": "linear",
                "learning_rate": 5e-5,
            },
        )
        folder.record.status = status.get(name, "succeeded")
        folder.record.started_at = f"2026-01-0{day}T10:00:00+00:00"
        if score is not None:
            folder.record.outputs = {"num_train_steps": 12}
            folder.record.metrics = {"accuracy": score, "loss": score, "other": 0.1}
        folder.save()
    return cli


def change(cli: Cli, name: str, **values: Any) -> None:
    path = cli.folder / "runs" / name / "run.json"
    path.write_text(json.dumps(cli.record(name) | values))


def names(out: str) -> list[str]:
    return [line.split()[0] for line in rows(out)]


def rows(out: str) -> list[str]:
    """The rows of the table, without its head and the lines below it."""
    return out.partition("\n\n")[0].splitlines()[1:]


def test_the_best_come_first_and_killed_runs_are_marked(filled: Cli) -> None:
    code, out, err = filled("runs")
    assert (code, err) == (0, "")
    head = out.splitlines()[0]
    assert head.split() == ["run", "steps", "accuracy", "loss", "status", "started"]
    assert [(row.split()[0], row.split()[-3]) for row in rows(out)] == [
        ("first", "succeeded"),
        ("second", "succeeded"),
        ("killed", "interrupted"),
        ("failed", "failed"),
    ]
    assert rows(out)[0].split()[1:4] == ["12", "0.9000", "0.9000"]
    assert out.endswith(
        "\n\nthe same in all rows: task text-classification, dataset data.csv, model\n"
        "  owner/model, schedule linear 5e-05\n"
        "\nbest accuracy first; --sort started lists the newest first\n"
    )
    assert filled.record("killed")["status"] == "running"  # a table changes nothing


def test_a_run_that_is_held_is_running(filled: Cli) -> None:
    with (filled.folder / "runs" / "killed" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert json.loads(filled("runs", "--json")[1])[0]["status"] == "running"


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("accuracy", ["first", "second"]),
        ("loss", ["second", "first"]),
        ("started", ["killed", "failed"]),
    ],
)
def test_the_best_come_first_and_runs_without_the_metric_last(
    filled: Cli, metric: str, order: list[str]
) -> None:
    assert names(filled("runs", "--sort", metric)[1])[:2] == order


def test_a_run_of_the_command_line_is_in_the_table(cli: Cli) -> None:
    assert cli.run("--name", "real")[0] == 0
    (told,) = json.loads(cli("runs", "--json")[1])
    assert (told["name"], told["status"]) == ("real", "succeeded")
    assert told["metrics"] == cli.record("real")["metrics"] != {}
    assert names(cli("runs")[1]) == ["real"]


def test_a_hidden_metric_is_shown_when_it_is_asked_for(filled: Cli) -> None:
    assert "other" not in filled("runs")[1]
    assert "other" in filled("runs", "--sort", "other")[1].splitlines()[0]


def test_what_a_run_optimised_decides_on_the_validation_split(filled: Cli) -> None:
    """The first is better in the test split, the second in what chose its checkpoint."""
    for name, loss in (("first", 0.5), ("second", 0.4)):
        parameters = filled.record(name)["parameters"] | {
            "load_best_model_at_end": True,
            "metric_for_best_model": "loss",
        }
        change(filled, name, parameters=parameters, validation_metrics={"loss": loss})
    out = filled("runs")[1]
    assert names(out)[:2] == ["second", "first"]
    assert out.splitlines()[0].split()[2] == "validation_loss"
    assert "best validation_loss first" in out


def test_tasks_and_data_sets_have_tables_of_their_own(filled: Cli) -> None:
    parameters = filled.record("second")["parameters"]
    change(filled, "second", metrics={"micro_f1": 0.7, "macro_f1": 0.6, "loss": 0.1})
    other = parameters | {"dataset": "owner/tags", "task": "token-classification"}
    change(filled, "failed", parameters=other)
    code, out, err = filled("runs")
    assert (code, err) == (0, "")
    tables = {}
    for part in re.split(r"\n\n(?=\S+: )", out):
        heading, head, *lines = part.partition("\n\n")[0].splitlines()
        tables[heading] = (head.split(), [line.split()[0] for line in lines])
    assert list(tables) == [
        "data.csv: text-classification",
        "owner/tags: token-classification",
        "data.csv: multi_label_classification",
        "data.csv: single_label_classification",
    ]
    head, found = tables["data.csv: multi_label_classification"]
    assert found == ["second"]
    assert "micro_f1" in head and "accuracy" not in head
    assert tables["data.csv: text-classification"][1] == ["killed"]  # it may be of either


def test_the_f1_of_one_positive_label_is_not_ranked_with_that_of_another(filled: Cli) -> None:
    for name, label in (("first", "ham"), ("second", "spam")):
        parameters = filled.record(name)["parameters"] | {"positive_label": label}
        change(filled, name, parameters=parameters, metrics={"accuracy": 0.9, "f1": 0.9})
    out = filled("runs")[1]
    for name, label in (("first", "ham"), ("second", "spam")):
        heading = f"data.csv: single_label_classification, positive label {label}\n"
        assert names(out.partition(heading)[2]) == [name]


def test_the_newer_of_equal_runs_comes_first_and_undefined_metrics_last(filled: Cli) -> None:
    change(filled, "first", metrics={"accuracy": 0.8})
    change(filled, "failed", metrics={"accuracy": float("nan")})
    change(filled, "killed", metrics={"accuracy": 0.7})
    out = filled("runs", "--sort", "accuracy")[1]
    assert names(out) == ["second", "first", "killed", "failed"]


def test_the_table_fits_80_columns_and_wide_shows_all(filled: Cli) -> None:
    for number, name in enumerate(SCORES):
        parameters = filled.record(name)["parameters"] | {
            "dataset": "owner/quite-a-long-name-of-a-dataset",
            "model": f"owner/another-name-that-is-long-{number}",
        }
        change(filled, name, parameters=parameters)
    out = filled("runs")[1]
    assert max(map(len, out.splitlines())) <= 80
    assert "not shown: " in out and "--wide shows all columns" in out
    wide = filled("runs", "--wide")[1]
    assert wide.splitlines()[0].split() == [
        *("run", "task", "dataset", "model", "schedule", "steps", "accuracy", "loss", "status"),
        "started",
    ]


def test_an_unknown_metric_is_reported(filled: Cli) -> None:
    code, out, err = filled("runs", "--sort", "acuracy")
    assert (code, out) == (2, "")
    assert "no run has the metric 'acuracy'" in err
    assert "one of accuracy, loss, other" in err


def test_machines_get_everything(filled: Cli) -> None:
    told = json.loads(filled("runs", "--json")[1])
    first = told[-1]
    assert first["name"] == "first"
    assert first["metrics"] == {"accuracy": 0.9, "loss": 0.9, "other": 0.1}
    assert first["folder"] == str(filled.folder / "runs" / "first")
    assert first["num_train_steps"] == 12


def test_on_a_narrow_terminal_no_line_is_wider_than_it(filled: Cli) -> None:
    parent, child = pty.openpty()
    process = filled.start(
        "runs", stdout=child, stderr=child, environment={"COLUMNS": "50", "TERM": "xterm"}
    )
    os.close(child)
    lines = read_terminal(parent).splitlines()
    assert process.wait(60) == 0
    assert any("first" in line for line in lines)
    assert any("0.9000" in line for line in lines)
    assert max(map(len, lines)) <= 50


def test_a_damaged_record_hides_no_other_run(filled: Cli) -> None:
    (filled.folder / "runs" / "second" / "run.json").write_text("{")
    code, out, err = filled("runs")
    assert code == 0
    assert names(out) == ["first", "killed", "failed"]
    assert "skipped runs/second" in err


def test_no_folder_and_no_runs(cli: Cli) -> None:
    code, _, err = cli("runs")
    assert code == 2
    assert "there are no runs" in err
    (cli.folder / "runs").mkdir()
    assert cli("runs")[:2] == (0, "no runs in runs\n")
    assert cli("runs", "--json")[1] == "[]\n"


def test_what_came_to_nothing_is_removed_only_by_agreement(filled: Cli) -> None:
    code, out, err = filled("runs", "--prune")
    assert code == 2
    assert "kfp-finetune runs --prune --yes" in err
    assert "failed: failed" in out
    runs = filled.folder / "runs"
    assert (runs / "failed").is_dir()
    code, out, _ = filled("runs", "--prune", "--yes")
    assert code == 0
    assert "removed 2 runs" in out
    assert sorted(p.name for p in runs.glob("[a-z]*")) == ["first", "second"]
    assert filled("runs", "--prune", "--yes")[:2] == (
        0,
        "nothing to remove: no run has failed or was interrupted\n",
    )


def test_a_range_test_is_recognised_at_80_columns(filled: Cli) -> None:
    """Beside runs on two tasks with long names, where the schedules have no room."""
    change(filled, "second", purpose="range_test", metrics={})
    path = filled.folder / "runs" / "failed" / "run.json"
    record = filled.record("failed") | {"name": "another-model-with-a-rather-long-name-of-its-own"}
    path.write_text(json.dumps(record))
    _, out, _ = filled("runs")
    assert "schedule" not in out.splitlines()[0]
    assert max(map(len, out.splitlines())) <= 80
    assert [row.split()[0] for row in rows(out) if "range test" in row] == ["second"]
