"""`submit --wait` and `resume`: what is shown of a run, how it ends, and when it is continued."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.cli.cluster import watch
from kfp_finetune.cli.cluster.actions import cluster_runs
from kfp_finetune.cli.cluster.connection import Connection
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.replay import Replay, as_run, recording
from tests.commands import call

Submit = Callable[..., tuple[int, str, str]]
Replayed = Callable[..., Replay]
RUN = recording("null_metadata")["v2beta1"]["run_id"]
FAILED_AGAIN = [{"state": "FAILED"}, {"state": "RUNNING"}, {"state": "FAILED"}]


@pytest.fixture
def waits(replayed: Replayed, submit: Submit) -> Callable[..., tuple[int, str, str]]:
    """`submit --wait`, where the run is as these recordings, one a look."""

    def waits(*looks: dict[str, Any]) -> tuple[int, str, str]:
        replay = replayed("null_metadata")
        replay.starts = RUN
        replay.then[RUN] = iter(looks)
        return submit("--wait", "--name", "one")

    return waits


def look(name: str, *, retries: int = 0, history: list[dict[str, str]] | None = None) -> Any:
    """A recording as a look at the run; with the pipeline's `retries` and the run's history set."""
    found = as_run(name, RUN)
    spec = found["v2beta1"]["pipeline_spec"]
    for task in spec.get("pipeline_spec", spec)["root"]["dag"]["tasks"].values():
        task["retryPolicy"] = {"maxRetryCount": retries}
    if history is not None:
        found["v2beta1"]["state_history"] = history
    return found


def shown(out: str) -> list[str]:
    """The lines about steps."""
    names = ("load_data", "count_steps", "build_optimizer", "finetune", "evaluate")
    return [line for line in out.splitlines() if line.startswith(names)]


def test_steps_from_the_cache_do_not_start(waits: Callable[..., Any]) -> None:
    code, out, err = waits(look("succeeded"))
    assert (code, err) == (0, "")
    assert shown(out) == [
        "load_data: from the cache",
        "count_steps: from the cache",
        "build_optimizer: done, 4.0 s",
        "finetune: done, 34 s",
        "evaluate: done, 11 s",
    ]


def test_a_waiting_pod_is_shown_with_reason_and_remedy(waits: Callable[..., Any]) -> None:
    code, out, _ = waits(look("pending_gpu"), look("pending_gpu"), look("succeeded"))
    assert code == 0
    lines = shown(out)
    why = lines.index("finetune: waiting: Unschedulable: 1 Insufficient nvidia.com/gpu")
    assert lines[why - 1] == "finetune: started"
    assert "no node has enough free nvidia.com/gpu" in lines[why + 1]
    assert "--gpus" in lines[why + 1]
    assert len([line for line in lines if "waiting" in line]) == 2  # each is said once
    assert not any(line.startswith("evaluate: started") for line in lines[: why + 1])


def test_wrong_input_in_a_step_is_wrong_input_here(
    served: tuple[str, Kubeflow], replayed: Replayed, tmp_path: Path
) -> None:
    run_id = recording("input_refused")["v2beta1"]["run_id"]
    replayed("input_refused").starts = run_id
    done = call(
        tmp_path, "submit", "--wait", "--host", served[0],
        "--dataset", "fancyzhx/ag_news", "--model", "distilbert/distilbert-base-uncased",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2,
        "error: every row has the same label: 'a'\n"
        "  where:    s3://mlpipeline/data/4af8c8d02581823625edc4bf54003882/one.csv, column"
        " 'label'\n"
        "  expected: at least two different labels\n"
        "  remedy:   name another --label-column, or data with more labels\n",
    )
    assert "load_data: failed, 7.0 s" in done.stdout
    assert "count_steps: " not in done.stdout  # which never started


def test_out_of_memory(waits: Callable[..., Any], cli: Cli) -> None:
    code, _, err = waits(look("out_of_memory"))
    assert (code, err) == (
        1,
        "error: finetune failed: OOMKilled: it needed more memory than its limit of 300Mi\n"
        "what to do: give it more memory, or a smaller --batch-size\n"
        f"log: kfp-finetune logs {RUN} finetune --host {cli.host}\n"
        f"to run it again: kfp-finetune rerun {RUN} --memory 600Mi --host {cli.host}\n",
    )


def test_the_launchers_message_is_the_reason(waits: Callable[..., Any], cli: Cli) -> None:
    code, _, err = waits(look("null_metadata"))
    assert code == 1
    assert 'build_optimizer failed: unable to produce MLMD artifact for output "optimizer' in err
    assert f"to continue it: kfp-finetune resume {RUN} --host {cli.host}" in err


@pytest.mark.parametrize("name", ["terminated_image", "terminated_unschedulable"])
def test_a_terminated_run_is_not_a_failed_one(waits: Callable[..., Any], name: str) -> None:
    code, out, err = waits(look(name, retries=3))
    assert (code, "run " in err, "was terminated: http" in err) == (1, True, True)
    assert any(line.partition(": ")[2].startswith("terminated") for line in shown(out))
    assert "failed" not in out + err


def test_a_killed_step_is_retried_as_often_as_it_may(
    waits: Callable[..., Any], kubeflow: Kubeflow
) -> None:
    failed = look("null_metadata", retries=2)
    code, out, _ = waits(
        failed,
        failed,  # the server does not show yet that it is continued
        look("pending_volume", retries=2),
        look("null_metadata", retries=2, history=FAILED_AGAIN),
        look("succeeded"),
    )
    assert code == 0
    assert kubeflow.replay is not None
    assert kubeflow.replay.retried == [RUN, RUN]
    reasons = [line for line in shown(out) if "; retry" in line]
    assert [line.rpartition("; ")[2] for line in reasons] == ["retry 1 of 2", "retry 2 of 2"]
    assert "unable to produce MLMD artifact" in reasons[0]


def test_a_training_that_was_killed_as_it_was_on_a_real_cluster(
    waits: Callable[..., Any], kubeflow: Kubeflow
) -> None:
    code, out, _ = waits(as_run("training", RUN), as_run("killed", RUN), look("succeeded"))
    assert code == 0
    assert "finetune: Error (exit code 1); retry 1 of 2" in shown(out)
    assert kubeflow.replay is not None
    assert kubeflow.replay.retried == [RUN]


def test_a_step_that_has_no_retries_left_ends_it(
    waits: Callable[..., Any], kubeflow: Kubeflow
) -> None:
    failed = look("null_metadata", retries=1)
    code, _, err = waits(failed, look("null_metadata", retries=1, history=FAILED_AGAIN))
    assert (code, "build_optimizer failed" in err) == (1, True)
    assert kubeflow.replay is not None
    assert kubeflow.replay.retried == [RUN]


def test_out_of_memory_twice_ends_it(waits: Callable[..., Any], kubeflow: Kubeflow) -> None:
    failed = look("out_of_memory", retries=5)
    code, out, err = waits(failed, look("out_of_memory", retries=5, history=FAILED_AGAIN))
    assert code == 1
    assert "finetune failed again: OOMKilled" in err
    assert "finetune: OOMKilled: it needed more memory than its limit of 300Mi; retry 1 of 5" in out
    assert kubeflow.replay is not None
    assert kubeflow.replay.retried == [RUN]


def test_refused_input_and_failed_drivers_are_not_retried(
    waits: Callable[..., Any], kubeflow: Kubeflow
) -> None:
    assert waits(look("input_refused", retries=3))[0] == 2
    code, _, err = waits(look("comparison_missing_parameter", retries=3))
    assert (code, "1/6 low, seed 1: finetune failed (and 5 more): KFP's driver" in err) == (1, True)
    assert kubeflow.replay is not None
    assert kubeflow.replay.retried == []


def test_waiting_outlives_a_server_that_is_away(
    replayed: Replayed, kubeflow: Kubeflow, submit: Submit
) -> None:
    replay = replayed("null_metadata")
    replay.starts = RUN

    def looks() -> Iterator[dict[str, Any]]:
        yield look("pending_volume")
        kubeflow.failures = [503, "drop", 500, 502, 504, 503]
        yield look("pending_volume")
        yield look("succeeded")

    replay.then[RUN] = looks()
    code, out, err = submit("--wait")
    assert (code, err) == (0, "")
    assert "it went wrong; still trying" in out


def test_a_workflow_that_is_missing_for_a_moment_is_waited_for(
    replayed: Replayed, submit: Submit
) -> None:
    replay = replayed("null_metadata")
    replay.starts = RUN

    def looks() -> Iterator[dict[str, Any]]:
        yield look("pending_image")
        replay.v1beta1 = False
        yield look("succeeded")
        replay.v1beta1 = True
        yield look("succeeded")

    replay.then[RUN] = looks()
    code, out, err = submit("--wait")
    assert (code, err) == (0, "")
    assert "does not answer GET /apis/v1beta1/runs/ID; still trying" in out
    assert "count_steps: from the cache" in shown(out)


def test_the_workflow_is_not_asked_for_at_every_look(
    waits: Callable[..., Any], kubeflow: Kubeflow
) -> None:
    waits(*[look("pending_gpu")] * 6, look("succeeded"))
    asked = [path for path in kubeflow.asked if path.startswith("GET /apis/v1beta1/runs/")]
    assert len(asked) == 2


def test_progress_continues_and_its_age_is_shown(
    waits: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_SECONDS_BETWEEN_WORKFLOWS", 0.0)
    monkeypatch.setattr("kfp_finetune.progress.lines.SECONDS_BETWEEN_LINES", 0.0)
    code, out, _ = waits(running(200), running(300), look("succeeded"))
    assert code == 0
    lines = [line for line in shown(out) if "/1,000 steps" in line]
    assert len(lines) >= 2
    assert all(line.endswith(" ago") for line in lines)


def running(done: int) -> dict[str, Any]:
    """The run while finetune's pod is at work, as Argo shows it: recorded, but for the numbers."""
    found = look("succeeded")
    found["v2beta1"] |= {"state": "RUNNING", "finished_at": None}
    answer = found["v1beta1"]["pipeline_runtime"]
    workflow = json.loads(answer["workflow_manifest"])
    nodes = workflow["status"]["nodes"].values()
    for node in nodes:
        if ".finetune(0)" in node["name"] or node["displayName"] == "finetune":
            node["phase"] = "Running"
            node.pop("finishedAt")
            if node["type"] == "Pod":
                node["progress"] = f"{done}/1000"
    answer["workflow_manifest"] = json.dumps(workflow)
    return found


def test_resume_continues_a_failed_or_terminated_run(
    served: tuple[str, Kubeflow], replayed: Replayed, tmp_path: Path
) -> None:
    replay = replayed("out_of_memory", "terminated_image", "succeeded", "pending_gpu")
    ids = list(replay.runs)
    done = call(tmp_path, "resume", "K-oom", "--host", served[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "finetune failed: OOMKilled: it needed more memory than its limit of 300Mi",
        "  a resumed run cannot be changed; give it more memory, or a smaller --batch-size",
        "run K-oom continues; 3 of 5 steps are already done",
        "finetune starts from the beginning: the run has no checkpoint_dir",
        f"page:   {served[0]}/#/runs/details/{ids[0]}",
        f"status: kfp-finetune status {ids[0]} --host {served[0]}",
    ]
    assert replay.retried == [ids[0]]


def test_resume_refuses_what_cannot_be_continued(cli: Cli, replayed: Replayed) -> None:
    replay = replayed("terminated_image", "succeeded", "pending_gpu")
    code, out, _ = cli("resume", "J-badimage")
    assert (code, "run J-badimage continues" in out) == (0, True)
    code, _, err = cli("resume", "s2")
    assert (code, "run s2 has succeeded" in err, "kfp-finetune rerun" in err) == (2, True, True)
    code, _, err = cli("resume", "gpu2")
    assert (code, "run gpu2 has not ended" in err) == (2, True)
    assert replay.retried == list(replay.runs)[:1]


def test_terminate(cli: Cli, replayed: Replayed) -> None:
    replay = replayed("pending_gpu", "terminated_image")
    code, out, _ = cli("terminate", "gpu2")
    assert (code, "is being terminated" in out) == (0, True)
    assert replay.terminated == list(replay.runs)[:1]
    code, _, err = cli("terminate", "J-badimage")
    assert (code, "run J-badimage has ended: terminated" in err) == (2, True)


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
    assert [line.split()[0] for line in table.splitlines() if line][:2] == ["run", "run-33"]
    assert len(json.loads(cli("runs", "--json")[1])) == 235
    assert cli("runs", "--prune")[0] == 2
    code, _, err = cli("status", "run-1")
    assert (code, "2 runs are named 'run-1'" in err) == (2, True)
