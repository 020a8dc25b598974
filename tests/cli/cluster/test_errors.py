"""Failures of servers and networks: each is one sentence with the right exit code."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kfp_finetune.cli.cluster import calls, client
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow

RUN = "0b1e6a3e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, 2, "you are not signed in, or your token has expired: HTTP 401"),
        (403, 2, "permission denied: HTTP 403: it went wrong"),
        (404, 2, f"there is no run {RUN}: HTTP 404: it went wrong"),
        (409, 2, f"run {RUN} was refused: HTTP 409: it went wrong"),
        (429, 1, "returned HTTP 429: it went wrong"),
        (500, 1, "returned HTTP 500: it went wrong"),
        ("drop", 1, "cannot be reached"),
    ],
)
def test_a_server_that_refuses(
    kubeflow: Kubeflow, cli: Cli, status: int | str, code: int, message: str
) -> None:
    kubeflow.failures = [status] * 9
    found, out, err = cli("status", RUN)
    assert (found, out) == (code, "")
    assert message in err
    assert "hunter2" not in err  # what came besides
    assert "Traceback" not in err


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, "drop"])
def test_asking_is_tried_again(kubeflow: Kubeflow, cli: Cli, status: int | str) -> None:
    run = kubeflow.add_run(display_name="one", pipeline_spec={})
    kubeflow.failures = [status] * 3
    assert cli("status", run.run_id)[0] == 0


@pytest.mark.parametrize(("status", "started"), [(503, 1), (500, 0), ("drop", 0)])
def test_a_run_is_never_started_twice(
    kubeflow: Kubeflow,
    submit: Callable[..., tuple[int, str, str]],
    status: int | str,
    started: int,
) -> None:
    submit("--name", "makes-the-experiment")
    kubeflow.asked.clear()
    answer = kubeflow.answer

    def failing_once(method: str, path: str, query: dict[str, str], body: object) -> object:
        found = answer(method, path, query, body)
        if (method, path) == ("GET", "/apis/v2beta1/experiments"):
            kubeflow.failures = [status]
        return found

    kubeflow.answer = failing_once  # type: ignore[method-assign, assignment]
    code, _, err = submit("--name", "one")
    assert [run.display_name for run in kubeflow.runs.values()].count("one") == started
    assert kubeflow.asked.count("POST /apis/v2beta1/runs") == 1 + started
    assert code == 1 - started
    assert ("it is unknown whether the run was accepted" in err) == (status == "drop")


def test_retry_after_is_obeyed(kubeflow: Kubeflow, cli: Cli) -> None:
    run = kubeflow.add_run(display_name="one", pipeline_spec={})
    kubeflow.failures = [(429, {"Retry-After": "1"})]
    began = time.monotonic()
    assert cli("status", run.run_id)[0] == 0
    assert time.monotonic() - began >= 1


def test_a_slow_server(kubeflow: Kubeflow, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run = kubeflow.add_run(display_name="one", pipeline_spec={})
    kubeflow.slow = 0.5
    assert cli("status", run.run_id)[0] == 0
    for module in (calls, client):
        monkeypatch.setattr(module, "TIMEOUT", (1, 0.1))
    code, _, err = cli("status", run.run_id)
    assert (code, "cannot be reached: no response" in err) == (1, True)


def test_nobody_is_there(kubeflow: Kubeflow, cli: Cli) -> None:
    code, _, err = cli("status", RUN, "--host", "http://127.0.0.1:9", host=False)
    assert (code, "http://127.0.0.1:9 cannot be reached" in err) == (1, True)
    assert "kubectl -n kubeflow port-forward svc/ml-pipeline-ui 9:80" in err
    code, _, err = cli("status", RUN, host=False)
    assert (code, err.splitlines()[0]) == (2, "error: no cluster is given")
    code, _, err = cli("status", RUN, "--host", "localhost:8080", host=False)
    assert (code, "'localhost:8080' is not a valid URL" in err) == (2, True)


def test_a_login_page(kubeflow: Kubeflow, cli: Cli) -> None:
    kubeflow.login_page = True
    code, _, err = cli("status", RUN)
    assert (code, "the server is not Kubeflow Pipelines" in err) == (2, True)


def test_a_token_that_expires_is_read_again(kubeflow: Kubeflow, cli: Cli, tmp_path: Path) -> None:
    run = kubeflow.add_run(display_name="one", pipeline_spec={})
    kubeflow.token = "old"  # noqa: S105
    token = tmp_path / "token"
    token.write_text("old\n")
    answer = kubeflow.answer

    def expiring(method: str, path: str, query: dict[str, str], body: object) -> object:
        kubeflow.token = "new"  # noqa: S105
        token.write_text("new\n")
        return answer(method, path, query, body)

    kubeflow.answer = expiring  # type: ignore[method-assign, assignment]
    assert cli("status", run.run_id, "--token-file", str(token))[0] == 0
    token.write_text("wrong\n")
    kubeflow.answer = answer  # type: ignore[method-assign]
    code, _, err = cli("status", run.run_id, "--token-file", str(token))
    assert (code, "your token has expired" in err) == (2, True)
    code, _, err = cli("status", run.run_id, "--token-file", "gone")
    assert (code, "where:    --token-file gone" in err) == (2, True)


def test_namespaces(kubeflow: Kubeflow, cli: Cli) -> None:
    kubeflow.namespaces = ["mine"]
    kubeflow.add_run(display_name="one", pipeline_spec={})
    code, _, err = cli("status", "one")
    assert (code, "this Kubeflow is a multi-user installation" in err) == (2, True)
    assert cli("status", "one", "--namespace", "mine")[0] == 0
    code, _, err = cli("status", "one", "--namespace", "yours")
    assert (code, "permission denied: HTTP 403" in err) == (2, True)
    assert f"where:    {cli.host}, namespace yours" in err


def test_wrong_parameters_are_reported_before_the_cluster_is_asked(
    kubeflow: Kubeflow, submit: Callable[..., tuple[int, str, str]]
) -> None:
    kubeflow.failures = ["drop"] * 9
    code, out, err = submit("--batch-size", "0")
    assert (code, out) == (2, "")
    assert "batch_size" in err and "cannot be reached" not in err
    assert not kubeflow.asked
