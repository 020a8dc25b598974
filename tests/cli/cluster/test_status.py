"""`status` of recorded runs: what a person reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kfp_finetune.cli.cluster.progress import Pace
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.replay import Replay, workflow
from tests.commands import call

Replayed = Callable[..., Replay]
START = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
def status(cli: Cli, replayed: Replayed) -> Callable[[str], list[str]]:
    """The lines of `status` below the run's page."""

    def status(name: str) -> list[str]:
        (run_id,) = replayed(name).runs
        code, out, err = cli("status", run_id)
        assert (code, err) == (0, "")
        return out.splitlines()[2:]

    return status


def test_the_whole_of_it(served: tuple[str, Kubeflow], replayed: Replayed, tmp_path: Path) -> None:
    (run_id,) = replayed("out_of_memory").runs
    done = call(tmp_path, "status", "K-oom", "--host", served[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"run K-oom ({run_id}): failed",
        f"{served[0]}/#/runs/details/{run_id}",
        "  load_data        from the cache",
        "  count_steps      from the cache",
        "  build_optimizer  done            5.0 s",
        "  finetune         failed          8.0 s",
        "    OOMKilled: it needed more memory than its limit of 300Mi",
        "    what to do: give it more memory, or a smaller --batch-size",
        "  evaluate         not started",
        f"to run it again: kfp-finetune rerun {run_id} --memory 600Mi --host {served[0]}",
    ]


@pytest.mark.parametrize(
    ("name", "step", "why", "remedy"),
    [
        (
            "pending_gpu",
            "finetune",
            "Unschedulable: 1 Insufficient nvidia.com/gpu",
            "no node has enough free nvidia.com/gpu: wait until one has",
        ),
        (
            "pending_volume",
            "finetune",
            'Unschedulable: persistentvolumeclaim "nosuchpvc" not found',
            "create the volume claim nosuchpvc in namespace kubeflow",
        ),
        (
            "pending_image",
            "load_data",
            "ImagePullBackOff: nowhere.example/none:1: no such host",
            "check --image; a private registry needs image_pull_secrets",
        ),
        (
            "pending_secret",
            "load_data",
            'CreateContainerConfigError: secret "nosuch" not found',
            "kubectl create secret generic nosuch -n kubeflow --from-literal=KEY=VALUE",
        ),
    ],
)
def test_why_a_pod_waits(
    status: Callable[[str], list[str]], name: str, step: str, why: str, remedy: str
) -> None:
    lines = status(name)
    at = next(i for i, line in enumerate(lines) if line.split() == [step, "waiting"])
    assert lines[at + 1].endswith(f": {why}")
    assert lines[at + 2].strip().startswith(f"what to do: {remedy}")
    assert all(line.endswith("not started") for line in lines[at + 3 :])


def test_a_pods_reason_counts_only_if_it_lasts(
    status: Callable[[str], list[str]], cli: Cli, replayed: Replayed
) -> None:
    replay = replayed("pending_secret")
    (run_id,) = replay.runs
    answer = replay.runs[run_id]["v1beta1"]
    found = workflow(answer)
    (pod,) = [n for n in found["status"]["nodes"].values() if n["phase"] == "Pending"]
    pod["message"] = "ContainerCreating"

    def lines(waited: float) -> list[str]:
        started = datetime.now(UTC) - timedelta(seconds=waited)
        pod["startedAt"] = f"{started:%Y-%m-%dT%H:%M:%SZ}"
        answer["pipeline_runtime"]["workflow_manifest"] = json.dumps(found)
        return cli("status", run_id)[1].splitlines()

    assert [line.split() for line in lines(5)[2:4]] == [
        ["load_data", "starting"], ["count_steps", "not", "started"],
    ]  # fmt: skip
    assert re.fullmatch(r"    for 5 min \d\d s: ContainerCreating", lines(300)[3])
    assert (
        "kubectl describe pod -n kubeflow kfp-finetune-tkqkk-system-container-impl-"
        in (lines(300)[4])
    )


def test_candidates_have_lines_of_their_own(status: Callable[[str], list[str]]) -> None:
    lines = status("comparison")
    assert [line.split("  ")[1] for line in lines] == [
        "load_data", "count_steps",
        "1/6 low, seed 1", "2/6 low, seed 2", "3/6 high, seed 1",
        "4/6 high, seed 2", "5/6 cosine, seed 1", "6/6 cosine, seed 2",
        "rank",
    ]  # fmt: skip
    assert {line.split()[-3] if "min" not in line else "done" for line in lines[2:8]} == {"done"}


def test_a_failed_candidate_names_its_step(status: Callable[[str], list[str]]) -> None:
    lines = status("comparison_missing_parameter")
    assert len([line for line in lines if "  finetune failed  " in line]) == 6
    assert len([line for line in lines if "KFP's driver failed: " in line]) == 6
    assert lines[-2].split() == ["rank", "not", "started"]
    assert "kfp-finetune rerun" in lines[-1]


def test_refused_input_is_printed_in_full(status: Callable[[str], list[str]]) -> None:
    lines = status("input_refused")
    assert lines[1] == "    every row has the same label: 'a'"
    assert [line.split(":")[0].strip() for line in lines[2:5]] == ["where", "expected", "remedy"]


def test_a_terminated_run_can_be_continued(status: Callable[[str], list[str]]) -> None:
    lines = status("terminated_unschedulable")
    assert lines[3].split()[:2] == ["finetune", "terminated"]
    assert "to continue it: kfp-finetune resume" in lines[-1]


@pytest.mark.parametrize("name", ["succeeded", "null_metadata"])
def test_after_the_workflow_is_gone_the_same_is_printed(
    status: Callable[[str], list[str]], name: str
) -> None:
    assert status(f"{name}_after_ttl") == status(name)


def test_an_uploaded_pipeline_has_its_steps(status: Callable[[str], list[str]]) -> None:
    assert [line.split()[0] for line in status("uploaded")] == [
        "load_data", "count_steps", "build_optimizer", "finetune", "evaluate",
    ]  # fmt: skip


def test_unknown_facts_are_marked(cli: Cli, replayed: Replayed) -> None:
    replay = replayed("succeeded")
    replay.v1beta1 = False
    out = cli("status", next(iter(replay.runs)))[1]
    assert "unknown: which steps came from the cache, why a pod waits and how it ended" in out


def test_progress_is_a_bar_with_what_is_left_and_its_age(cli: Cli, replayed: Replayed) -> None:
    replay = replayed("progress")
    ((run_id, found),) = replay.runs.items()
    found["v2beta1"]["state"] = "RUNNING"
    argo = workflow(found["v1beta1"])
    now = datetime.now(UTC)
    for node in argo["status"]["nodes"].values():
        if node["name"].startswith("prog-8jqrw(0).root(0).prog") and "driver" not in node["name"]:
            node |= {"phase": "Running", "finishedAt": None}
            if node["type"] == "Pod":
                node["progress"] = "40/100"
                node["startedAt"] = f"{now - timedelta(seconds=130):%Y-%m-%dT%H:%M:%SZ}"
    for entry in argo["metadata"]["managedFields"]:
        entry["time"] = f"{now - timedelta(seconds=20):%Y-%m-%dT%H:%M:%SZ}"
    found["v1beta1"]["pipeline_runtime"]["workflow_manifest"] = json.dumps(argo)
    line = cli("status", run_id)[1].splitlines()[3].strip()
    # 40 in 80 s, seen 20 s ago and 30 s old then: 65 by now, and 70 s are left.
    bar, share, rest = line.split(" ", 2)
    assert set(bar) == {"█", "░"}
    assert 64 <= int(share.rstrip("%")) <= 69
    assert rest.startswith("of 100 steps, about 1 min ")
    assert re.search(r", as of 5\d s ago$", rest)
    assert len(line) <= 76


def test_the_pace_is_that_between_the_last_reports() -> None:
    def at(seconds: float) -> datetime:
        return START + timedelta(seconds=seconds)

    pace = Pace(START)
    assert pace.now(START) is None
    pace.report(10, 1000, at(130))  # made at 100; it has started up, mostly
    pace.report(10, 1000, at(160))  # no news
    pace.report(70, 1000, at(190))
    estimate = pace.now(at(190))
    assert estimate is not None
    assert (estimate.done, estimate.reported, estimate.age) == (100, 70, 30.0)
    assert estimate.left == pytest.approx(900)
    later = pace.now(at(3600))  # a report that old says little
    assert later is not None
    assert later.done == 220
    pace.report(1000, 1000, at(7200))
    end = pace.now(at(9000))
    assert end is not None
    assert (end.done, end.left) == (1000, 0.0)
