"""`--wait`, `status`, `logs`, `terminate`, the list of runs: how a run is, and why it failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kfp_finetune.cli.cluster.actions import cluster_runs
from kfp_finetune.cli.cluster.options import Connection
from kfp_finetune.components.runtime import ERROR_LINE
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow

Submit = Callable[..., tuple[int, str, str]]


def ending(kubeflow: Kubeflow, *looks: tuple[str, dict[str, str]]) -> None:
    """Have runs be in these states, one a look."""
    left = list(looks)

    def finish(run: Any) -> None:
        state, steps = left.pop(0) if len(left) > 1 else left[0]
        kubeflow.end(run, state, **steps)

    kubeflow.finish = finish


BEFORE = {"build_optimizer": "WAITING", "finetune": "WAITING", "evaluate": "WAITING"}


def test_waiting_shows_the_steps(kubeflow: Kubeflow, submit: Submit) -> None:
    ending(
        kubeflow,
        ("RUNNING", BEFORE | {"load_data": "RUNNING", "count_steps": "WAITING"}),
        ("RUNNING", BEFORE | {"count_steps": "CACHED"}),
        ("SUCCEEDED", {"count_steps": "CACHED"}),
    )
    code, out, err = submit("--wait", "--name", "one")
    assert (code, err) == (0, "")
    shown = [line for line in out.splitlines() if ": " in line and line[0] != " "]
    assert shown[-10:] == [
        "load_data: started", "load_data: done, 5 min 00 s",
        "count_steps: started", "count_steps: cached",
        "build_optimizer: started", "build_optimizer: done, 5 min 00 s",
        "finetune: started", "finetune: done, 5 min 00 s",
        "evaluate: started", "evaluate: done, 5 min 00 s",
    ]  # fmt: skip
    assert "run one succeeded" in out


def test_wrong_input_in_a_step_is_wrong_input_here(kubeflow: Kubeflow, submit: Submit) -> None:
    said = {"step": "load_data", "kind": "input", "found": "the file is empty", "where": "a.csv"}
    kubeflow.logs["wf-system-container-impl-41"] = f"noise\n{ERROR_LINE} {json.dumps(said)}\nmore\n"
    ending(kubeflow, ("FAILED", BEFORE | {"load_data": "FAILED", "count_steps": "WAITING"}))
    code, _, err = submit("--wait")
    assert (code, err) == (2, "error: the file is empty\n  where:    a.csv\n")


def test_a_failed_step_whose_log_is_gone(kubeflow: Kubeflow, submit: Submit, cli: Cli) -> None:
    ending(kubeflow, ("FAILED", {"finetune": "FAILED", "evaluate": "WAITING"}))
    code, _, err = submit("--wait")
    (run_id,) = kubeflow.runs
    assert (code, err) == (
        1,
        f"error: finetune failed\nlog: kfp-finetune logs {run_id} finetune --host {cli.host}\n",
    )


@pytest.mark.parametrize("state", ["CANCELED", "CANCELING"])
def test_waiting_for_a_cancelled_run_ends(kubeflow: Kubeflow, submit: Submit, state: str) -> None:
    ending(kubeflow, (state, {"finetune": "CANCELED", "evaluate": "WAITING"}))
    code, out, err = submit("--wait", "--name", "one")
    assert (code, "run one was cancelled" in err) == (1, True)
    assert "finetune: interrupted" in out


def test_waiting_outlives_a_server_that_is_away(kubeflow: Kubeflow, submit: Submit) -> None:
    ending(kubeflow, ("RUNNING", BEFORE), ("SUCCEEDED", {}))
    seen = kubeflow.finish

    def finish(run: Any) -> None:
        seen(run)
        if run.state == "RUNNING":
            kubeflow.failures = [503, "drop", 500, 502, 504]

    kubeflow.finish = finish
    code, out, err = submit("--wait")
    assert (code, err) == (0, "")
    assert "answered HTTP 502: it went wrong; trying on" in out


def test_status_logs_and_terminate(kubeflow: Kubeflow, submit: Submit, cli: Cli) -> None:
    submit("--name", "one")
    (run,) = kubeflow.runs.values()
    kubeflow.end(run, "RUNNING", load_data="CACHED", finetune="RUNNING", evaluate="WAITING")
    kubeflow.logs["wf-31"] = "step 1\nstep 2\n"  # where pods are called as their nodes
    _, out, _ = cli("status", "one")
    states = [line.split()[:2] for line in out.splitlines()[2:]]
    assert states == [
        ["load_data", "cached"], ["count_steps", "done"], ["build_optimizer", "done"],
        ["finetune", "running"], ["evaluate", "waiting"],
    ]  # fmt: skip
    assert cli("logs", run.run_id, "finetune") == (0, "step 1\nstep 2\n", "")
    kubeflow.is_ui = True
    assert cli("logs", run.run_id, "finetune") == (0, "step 1\nstep 2\n", "")
    code, _, err = cli("logs", "one", "finetun")
    assert (code, "there is no step 'finetun'" in err) == (2, True)
    code, out, _ = cli("terminate", "one")
    assert (code, run.state) == (0, "CANCELED")
    code, _, err = cli("terminate", "one")
    assert (code, "run one has ended: interrupted" in err) == (2, True)


def test_more_than_a_page_of_runs(kubeflow: Kubeflow, submit: Submit, cli: Cli) -> None:
    submit("--name", "the-first", "--learning-rate", "1e-3")
    (first,) = kubeflow.runs.values()
    for number in range(234):
        kubeflow.add_run(display_name=f"run-{number % 200}", pipeline_spec=first.pipeline_spec)
    rows = cluster_runs(Connection(host=cli.host))
    assert len({row["id"] for row in rows}) == 235
    assert (rows[0]["name"], rows[-1]["name"]) == ("run-33", "the-first")
    assert rows[-1]["schedule"] == "polynomial 0.001"
    assert rows[-1]["status"] == "running"
    assert cli("status", "the-first")[0] == 0
    code, table, _ = cli("runs")
    assert code == 0
    assert [line.split()[0] for line in table.splitlines()][:2] == ["run", "run-33"]
    assert len(json.loads(cli("runs", "--json")[1])) == 235
    assert cli("runs", "--prune")[0] == 2
    code, _, err = cli("status", "run-1")
    assert (code, "2 runs are called 'run-1'" in err) == (2, True)
