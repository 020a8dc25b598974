"""Recorded responses of a real server: the states of steps, their pods, and why they wait."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable

import pytest

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.observed import ObservedRun, find
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.replay import NAMES, Replay, recording, workflow

Replayed = Callable[..., Replay]
STEPS = ["load_data", "count_steps", "build_optimizer", "finetune", "evaluate"]
NEVER = ["not_started"]

# The states of each recorded run's steps, as kubectl and the UI showed them at the time.
STATES = {
    "cached": ("succeeded", ["cached"] * 5),
    "other_root": ("succeeded", ["cached"] * 5),
    "succeeded": ("succeeded", ["cached"] * 2 + ["done"] * 3),
    "succeeded_after_ttl": ("succeeded", ["cached"] * 2 + ["done"] * 3),
    "scheduled": ("succeeded", ["done"] * 5),
    "rerun": ("succeeded", ["cached"] + ["done"] * 4),
    "uploaded": ("succeeded", ["cached"] + ["done"] * 4),
    "killed_then_retried": ("succeeded", ["done"] * 5),
    "pod_deleted": ("succeeded", ["done"] * 5),
    "input_refused": ("failed", ["failed"] + NEVER * 4),
    "null_metadata": ("failed", ["done"] * 2 + ["failed"] + NEVER * 2),
    "null_metadata_after_ttl": ("failed", ["done"] * 2 + ["failed"] + NEVER * 2),
    "out_of_memory": ("failed", ["cached"] * 2 + ["done", "failed"] + NEVER),
    "training": ("running", ["cached", "done", "done", "running"] + NEVER * 2),
    "killed": ("failed", ["cached", "done", "done", "failed"] + NEVER * 2),
    "pending_gpu": ("running", ["cached"] * 3 + ["waiting"] + NEVER),
    "pending_volume": ("running", ["cached", "done", "done", "waiting", *NEVER]),
    "pending_image": ("running", ["waiting"] + NEVER * 4),
    "pending_secret": ("running", ["waiting"] + NEVER * 4),
    "terminated_image": ("terminated", ["terminated"] + NEVER * 4),
    "terminated_unschedulable": ("terminated", ["cached"] * 2 + ["done", "terminated"] + NEVER),
}


@pytest.fixture
def observed(cli: Cli, replayed: Replayed) -> Callable[..., ObservedRun]:
    def observed(name: str, *, v1beta1: bool = True) -> ObservedRun:
        replay = replayed(name)
        replay.v1beta1 = v1beta1
        (run_id,) = replay.runs
        return find(Cluster(Connection(host=cli.host)), run_id)

    return observed


@pytest.mark.parametrize("name", STATES)
def test_states_of_recorded_runs(observed: Callable[..., ObservedRun], name: str) -> None:
    run = observed(name)
    assert (run.status, [step.state for step in run.steps]) == STATES[name]
    assert [step.key for step in run.steps][:5] == STEPS
    assert run.unknown == ""


def test_candidates_are_steps_of_their_own(observed: Callable[..., ObservedRun]) -> None:
    run = observed("comparison")
    titles = [step.title for step in run.steps]
    assert titles[:5] == [
        "load_data", "count_steps",
        "1/6 low, seed 1: build_optimizer", "1/6 low, seed 1: finetune",
        "1/6 low, seed 1: evaluate",
    ]  # fmt: skip
    assert (titles[-2], titles[-1]) == ("6/6 cosine, seed 2: evaluate", "rank")
    assert len(titles) == 2 + 6 * 3 + 1
    assert {s.state for s in run.steps if s.task.name == "build-optimizer"} == {"cached"}
    assert {s.state for s in run.steps if s.task.name == "finetune"} == {"done"}
    pods = [attempt.pod for step in run.steps for attempt in step.attempts]
    assert len(pods) == len(set(pods)) == 6 * 2 + 1


def test_a_driver_that_failed(observed: Callable[..., ObservedRun]) -> None:
    steps = {step.key: step for step in observed("comparison_missing_parameter").steps}
    for trial in range(6):
        assert steps[f"{trial}/finetune"].failed_in_driver
        assert steps[f"{trial}/evaluate"].state == "not_started"
    assert steps["rank"].state == "not_started"


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"training", "killed"}))
def test_pods_have_the_names_under_which_logs_were_found(
    observed: Callable[..., ObservedRun], name: str
) -> None:
    pods = [a.pod for step in observed(name).steps for a in (*step.attempts, *step.drivers)]
    assert pods
    assert set(pods) <= set(recording(name)["logs"]["pods"])


@pytest.mark.parametrize("name", NAMES)
def test_every_stored_file_is_an_output_of_a_step(
    observed: Callable[..., ObservedRun], name: str
) -> None:
    places = [
        place.removeprefix("minio://mlpipeline/").removeprefix("s3://mlpipeline/")
        for step in observed(name).steps
        for place in step.outputs.values()
    ]
    keys = [stored["key"] for stored in recording(name)["store"]]
    lost = [
        key
        for key in keys
        # The log has the attempt's number behind its name.
        if not key.startswith("private-artifacts/") and not any(map(key.startswith, places))
    ]
    assert lost == []


def test_an_attempt_that_was_lost_and_the_next(observed: Callable[..., ObservedRun]) -> None:
    finetune = observed("pod_deleted").steps[3]
    assert [(a.number, a.phase, a.message) for a in finetune.attempts] == [
        (0, "Error", "pod deleted"),
        (1, "Succeeded", ""),
    ]


def test_progress_of_a_pod_that_reports_it(observed: Callable[..., ObservedRun]) -> None:
    finetune = observed("training").steps[3]
    assert finetune.progress == (276, 1840)
    (step,) = observed("progress").steps
    assert step.attempts[0].progress == (100, 100)
    assert [a.progress for s in observed("succeeded").steps for a in s.attempts] == [None] * 3


@pytest.mark.parametrize("name", sorted(STATES.keys() - {"uploaded"}))
def test_without_the_workflow_unknown_facts_are_marked(
    observed: Callable[..., ObservedRun], name: str
) -> None:
    run = observed(name, v1beta1=False)
    assert run.status == STATES[name][0]
    assert "which steps came from the cache" in run.unknown
    assert "GET /apis/v1beta1/runs/ID" in run.unknown
    same = {"cached": "done", "waiting": "running"}
    assert [step.state for step in run.steps] == [same.get(s, s) for s in STATES[name][1]]


def test_a_run_whose_pipeline_nobody_has_any_more(observed: Callable[..., ObservedRun]) -> None:
    run = observed("uploaded", v1beta1=False)
    assert (run.status, run.steps) == ("succeeded", ())
    assert "no longer has the run's pipeline" in run.unknown


def test_large_workflows_are_compressed_or_offloaded(
    observed: Callable[..., ObservedRun], cli: Cli, replayed: Replayed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    replay = replayed("succeeded")
    (run_id,) = replay.runs
    answer = replay.runs[run_id]["v1beta1"]
    found = workflow(answer)
    nodes = found["status"].pop("nodes")

    def states(**status: object) -> tuple[list[str], str]:
        answer["pipeline_runtime"]["workflow_manifest"] = json.dumps(
            found | {"status": found["status"] | status}
        )
        run = find(Cluster(Connection(host=cli.host)), run_id)
        return [step.state for step in run.steps], run.unknown

    packed = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
    assert states(compressedNodes=packed) == (STATES["succeeded"][1], "")
    offloaded, why = states(offloadNodeStatusVersion="fnv:784206910")
    assert (set(offloaded), "a separate database" in why) == ({"done"}, True)
    damaged, why = states(compressedNodes=packed[:-400])
    assert (set(damaged), "cannot be decompressed" in why) == ({"done"}, True)
    monkeypatch.setattr("kfp_finetune.cli.cluster.workflow._MOST_BYTES", 1 << 10)
    bomb, why = states(compressedNodes=packed)
    assert (set(bomb), "the workflow's nodes take more than" in why) == ({"done"}, True)
