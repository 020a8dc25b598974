"""`logs` of recorded runs: from the pod, from what KFP stored, from what Argo archived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from kfp_finetune.cli.cluster import logs
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.logs import Wanted
from kfp_finetune.cli.cluster.observed import find
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.replay import Replay, argo_nodes, recording
from tests.cli.cluster.test_watch import running
from tests.commands import call
from tests.servers import Bucket

Replayed = Callable[..., Replay]


@pytest.fixture
def mlpipeline(s3: Bucket) -> Callable[..., None]:
    """Puts a recorded run's keys into the bucket that Kubeflow has; each file says its key."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="mlpipeline")

    def store(name: str, *having: str) -> None:
        for stored in recording(name)["store"]:
            key = stored["key"]
            if any(part in key for part in having):
                client.put_object(Bucket="mlpipeline", Key=key, Body=f"{key}\n".encode())

    return store


def executors(name: str, step: str) -> list[str]:
    """The recorded logs of a run's step, by what KFP's executor says at their start."""
    pods = recording(name)["logs"]["pods"].values()
    return [answer["body"] for answer in pods if f"component `{step}`" in answer["body"]]


@pytest.mark.parametrize("name", ["killed_then_retried", "succeeded_after_ttl", "uploaded"])
def test_a_step_is_read_from_its_executor(cli: Cli, replayed: Replayed, name: str) -> None:
    (run_id,) = replayed(name).runs
    (log,) = executors(name, "evaluate")
    assert cli("logs", run_id, "evaluate") == (0, log, "")


def test_the_command(served: tuple[str, Kubeflow], replayed: Replayed, tmp_path: Path) -> None:
    replayed("killed_then_retried")
    done = call(tmp_path, "logs", "bank", "load-data", "--host", served[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == executors("killed_then_retried", "load_data")[0]
    done = call(tmp_path, "logs", "bank", "finetun", "--host", served[0])
    assert (done.returncode, "there is no step 'finetun'" in done.stderr) == (2, True)


def test_attempts(cli: Cli, replayed: Replayed) -> None:
    (run_id,) = replayed("pod_deleted").runs
    code, last, err = cli("logs", run_id, "finetune")
    assert (code, err) == (0, "attempt 2 of 2; --attempt 1 shows the one before\n")
    code, first, err = cli("logs", run_id, "finetune", "--attempt", "1")
    assert (code, err, first != last) == (0, "", True)
    assert '"done": 700, "total": 1840' in first.splitlines()[-1]
    code, _, err = cli("logs", run_id, "finetune", "--attempt", "3")
    assert (code, "there is no attempt 3 of finetune" in err) == (2, True)


def test_of_a_large_workflow_the_api_has_none_but_the_store(
    cli: Cli, replayed: Replayed, mlpipeline: Callable[..., None]
) -> None:
    (run_id,) = replayed("comparison").runs
    code, _, err = cli("logs", run_id, "finetune", "--candidate", "3")
    assert (code, "the log of 3/6 high, seed 1: finetune is no longer available" in err) == (
        2,
        True,
    )
    assert f"kubectl logs -n kubeflow -l pipeline/runid={run_id}" in err
    mlpipeline("comparison", "private-artifacts/")
    code, archived, _ = cli("logs", run_id, "finetune", "--candidate", "3")
    assert code == 0
    pod = "kfp-finetune-compare-schedules-zhqxp-system-container-impl-1359542284"
    assert archived.endswith(f"/2026/11/29/{pod}/main.log\n")
    mlpipeline("comparison", "executor-logs")
    stored = cli("logs", run_id, "finetune", "--candidate", "3")[1].strip()
    assert stored in [stored["key"] for stored in recording("comparison")["store"]]
    assert f"/{run_id}/finetune/" in stored
    assert stored.endswith("/executor-logs-0")


def test_which_candidate(cli: Cli, replayed: Replayed) -> None:
    (run_id,) = replayed("comparison").runs
    code, _, err = cli("logs", run_id, "finetune")
    assert (code, "6 candidates have the step finetune" in err) == (2, True)
    assert "1 (low, seed 1), 2 (low, seed 2)" in err
    assert f"kfp-finetune logs {run_id} finetune --candidate 1 --host {cli.host}" in err
    code, _, err = cli("logs", run_id, "finetune", "--candidate", "low")
    assert (code, "'low' is several candidates" in err) == (2, True)
    code, _, err = cli("logs", run_id, "finetune", "--candidate", "linear")
    assert (code, "'linear' is not a candidate" in err) == (2, True)
    code, _, err = cli("logs", run_id, "rank", "--candidate", "1")
    assert (code, "rank is not a step of a candidate" in err) == (2, True)
    _, _, err = cli("logs", run_id, "finetune", "--candidate", "low, seed 2")
    assert "2/6 low, seed 2: finetune" in err


def test_what_another_pipeline_loops_over_is_chosen_by_its_value(
    cli: Cli, replayed: Replayed
) -> None:
    replay = replayed("comparison")
    (run_id,) = replay.runs
    run = find(Cluster(Connection(host=cli.host)), run_id)
    steps = tuple(
        replace(step, task=replace(step.task, item=f"item {step.task.trial}"))
        for step in run.steps
        if step.key.endswith("/finetune")
    )
    foreign: Any = SimpleNamespace(id=run_id, name="foreign", steps=steps, shown=steps)
    for candidate in ("item 2", "3"):
        assert logs.choose(foreign, Wanted("finetune", candidate), "").key == "2/finetune"


def test_where_a_driver_failed_its_log_is_shown(
    cli: Cli, replayed: Replayed, mlpipeline: Callable[..., None]
) -> None:
    (run_id,) = replayed("comparison_missing_parameter").runs
    mlpipeline("comparison_missing_parameter", "private-artifacts/")
    code, out, err = cli("logs", run_id, "finetune", "--candidate", "1")
    assert (code, err) == (
        0,
        "1/6 low, seed 1: finetune never ran: this is the log of KFP's driver, which failed\n",
    )
    nodes = argo_nodes(recording("comparison_missing_parameter")["v1beta1"])
    (driver,) = [
        node["id"].rpartition("-")[2]
        for node in nodes
        if "(0:0)" in node["name"] and node["displayName"] == "finetune-driver(0)"
    ]
    assert out.endswith(f"system-container-driver-{driver}/main.log\n")


@pytest.mark.parametrize(
    ("name", "step", "message"),
    [
        ("cached", "finetune", "finetune did not run: its results came from the cache"),
        ("pending_secret", "load_data", 'yet: it is waiting: CreateContainerConfigError: secret "'),
        ("pending_secret", "finetune", "finetune has no log yet: it is not started"),
        ("terminated_image", "load_data", "the log of load_data is no longer available"),
    ],
)
def test_why_there_is_none(
    cli: Cli, replayed: Replayed, s3: Bucket, name: str, step: str, message: str
) -> None:
    (run_id,) = replayed(name).runs
    code, out, err = cli("logs", run_id, step)
    assert (code, out, message in err) == (2, "", True), err


def test_without_the_workflow_what_kfp_stored_is_found(
    cli: Cli, replayed: Replayed, mlpipeline: Callable[..., None]
) -> None:
    replay = replayed("killed_then_retried")
    replay.v1beta1 = False
    (run_id,) = replay.runs
    mlpipeline("killed_then_retried", "executor-logs")
    code, out, _ = cli("logs", run_id, "finetune")
    assert (code, f"{run_id}/finetune/" in out, "executor-logs-0" in out) == (0, True, True)


def test_following_prints_what_is_new(
    cli: Cli, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SECONDS_BETWEEN_LOOKS", 0.0)
    replay = replayed("null_metadata")
    (run_id,) = replay.runs
    pods = running(0)["logs"]["pods"]
    pod = next(pod for pod, answer in pods.items() if "component `finetune`" in answer["body"])
    whole = pods[pod]["body"]

    def until(share: float) -> dict[str, Any]:
        found = running(100)
        found["logs"]["pods"][pod]["body"] = whole[: int(len(whole) * share)]
        return found

    def looks() -> Iterator[dict[str, Any]]:
        before = running(0)
        before["logs"]["pods"] = {}  # its container is not there yet
        yield before
        yield from (until(0.1), until(0.1), until(0.6))
        end = running(1000)
        end["v2beta1"]["state"] = "SUCCEEDED"
        yield end

    replay.then[run_id] = looks()
    code, out, err = cli("logs", run_id, "finetune", "--follow")
    assert (code, err) == (0, "")
    assert out == whole


def test_following_goes_on_after_the_log_was_rotated(
    cli: Cli, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SECONDS_BETWEEN_LOOKS", 0.0)
    replay = replayed("null_metadata")
    (run_id,) = replay.runs

    def looks() -> Iterator[dict[str, Any]]:
        for body, done in (("one two three\n", 10), ("four\n", 20), ("four\nfive\n", 1000)):
            found = running(done)
            for answer in found["logs"]["pods"].values():
                if "component `finetune`" in answer["body"]:
                    answer["body"] = body
            if done == 1000:
                found["v2beta1"]["state"] = "SUCCEEDED"
            yield found

    replay.then[run_id] = looks()
    code, out, err = cli("logs", run_id, "finetune", "--follow")
    assert (code, out) == (0, "one two three\nfour\nfive\n")
    assert err == "finetune: the node has rotated the log; some lines may be lost\n"


def test_following_a_waiting_step_prints_the_reason(
    cli: Cli, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "SECONDS_BETWEEN_LOOKS", 0.0)
    replay = replayed("pending_gpu", "succeeded")
    waiting, run_id = recording("pending_gpu"), next(iter(replay.runs))
    replay.then[run_id] = iter([waiting, waiting, recording("killed_then_retried")])
    replay.runs[recording("killed_then_retried")["v2beta1"]["run_id"]] = recording(
        "killed_then_retried"
    )
    code, out, err = cli("logs", run_id, "finetune", "-f")
    assert (code, err) == (
        0,
        "finetune: waiting: Unschedulable: 1 Insufficient nvidia.com/gpu\n",
    )
    assert out == executors("killed_then_retried", "finetune")[0]
