"""The verdict on a run of a cluster: `submit --wait`, `status`, `fetch` and `rerun`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from kfp_finetune.components.artifacts.verdict import Verdict, read_tried
from kfp_finetune.components.runtime import emit
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.replay import Replay, argo_nodes, recording
from tests.cli.cluster.stored import ROOT, keys, with_index
from tests.cli.cluster.test_reruns import DATA, MODEL
from tests.servers import Bucket

RUN = recording("succeeded")["v2beta1"]["run_id"]
FINDING = "Undertrained: the validation loss was still falling."
ADVICE = {"learning_rate": 2e-4, "num_train_epochs": 10}


def verdict(kind: Any = "undertrained", **options: Any) -> Verdict:
    return Verdict(
        kind=kind, finding=FINDING, options=options, learning_rate=5e-5, num_train_steps=846
    )


def pod_of(found: dict[str, Any], step: str) -> dict[str, Any]:
    """The log of a step's executor in a recording; an empty one if it has none."""
    nodes = argo_nodes(found["v1beta1"])
    (dag,) = [n["id"] for n in nodes if n["displayName"] == f"{step}(0)"]
    (node,) = [n for n in nodes if n["type"] == "Pod" and n.get("boundaryID") == dag]
    logs: dict[str, Any] = found["logs"]["pods"]
    end = node["id"].rpartition("-")[2]
    known = [name for name in logs if name.endswith(end)]
    workflow = next(iter(logs)).partition("-system-")[0]
    name = known[0] if known else f"{workflow}-{node['templateName']}-{end}"
    return logs.setdefault(name, {"status": 200, "body": ""})


@pytest.fixture
def judged(
    kubeflow: Kubeflow, capsys: pytest.CaptureFixture[str]
) -> Callable[[Verdict, str], Replay]:
    """A recorded run whose evaluate printed a verdict as this version does."""

    def judged(found: Verdict, step: str = "evaluate") -> Replay:
        kubeflow.replay = Replay("succeeded")
        emit("verdict", "evaluate", verdict=found.model_dump(mode="json"))
        log = pod_of(kubeflow.replay.runs[RUN], step)
        log["body"] = f"{capsys.readouterr().out}{log['body']}"
        return kubeflow.replay

    return judged


def test_status_ends_with_the_verdict_and_the_next_command(
    cli: Cli, judged: Callable[..., Replay]
) -> None:
    judged(verdict(**ADVICE))
    code, out, err = cli("status", RUN)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith(": finished: undertrained")
    assert lines[-2:] == [
        f"verdict: {FINDING}",
        f"next:    kfp-finetune rerun {RUN} --host {cli.host}"
        " --learning-rate 0.0002 --num-train-epochs 10",
    ]


def test_a_cached_run_has_the_verdict_that_its_last_step_printed(
    cli: Cli, kubeflow: Kubeflow, capsys: pytest.CaptureFixture[str]
) -> None:
    """All other steps came from the cache, and have no log."""
    kubeflow.replay = Replay("cached")
    with_index(kubeflow.replay, "cached", "succeeded", "minio://mlpipeline/artifacts")
    run = recording("cached")["v2beta1"]["run_id"]
    assert "verdict" not in cli("status", run)[1]
    emit("verdict", "record_artifacts", verdict=verdict(**ADVICE).model_dump(mode="json"))
    pod_of(kubeflow.replay.runs[run], "record-artifacts")["body"] = capsys.readouterr().out
    code, out, err = cli("status", run)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].endswith(": finished: undertrained")
    assert f"verdict: {FINDING}" in out.splitlines()


def test_waiting_ends_with_the_verdict(
    cli: Cli, judged: Callable[..., Replay], submit: Callable[..., tuple[int, str, str]]
) -> None:
    judged(verdict(**ADVICE)).starts = RUN
    code, out, err = submit("--wait", "--name", "one")
    assert (code, err) == (0, "")
    _, _, end = out.rpartition("run one ")
    assert end.startswith("finished: undertrained\n")
    assert FINDING in end and f"kfp-finetune rerun {RUN} --host {cli.host} --learning-rate" in end
    judged(verdict("healthy")).starts = RUN
    assert "run one succeeded\n" in submit("--wait", "--name", "one")[1]


@pytest.mark.parametrize("broken", ["gone", "refused", "another version", "another step's"])
def test_an_unknown_verdict_fails_nothing(
    cli: Cli, judged: Callable[..., Replay], broken: str
) -> None:
    replay = judged(verdict(), "finetune" if broken == "another step's" else "evaluate")
    log = pod_of(replay.runs[RUN], "evaluate")
    if broken == "gone":
        log["body"] = json.dumps({"error_message": "not found"})
    elif broken == "refused":
        log |= {"status": 403, "body": "{}"}
    elif broken == "another version":
        log["body"] = log["body"].replace('"finding"', '"reason"')
    code, out, err = cli("status", RUN)
    assert (code, err, "verdict" in out) == (0, "", False)
    assert ": succeeded" in out.splitlines()[0]


def test_fetch_prints_the_command_that_repeats_the_run_on_the_cluster(
    cli: Cli, judged: Callable[..., Replay], s3: Bucket
) -> None:
    judged(verdict())
    (key,) = [k for k in keys("succeeded") if k.endswith("/metrics_json")]
    body = {
        "split": "test", "num_examples": 4, "metrics": {"accuracy": 0.75}, "per_class": [],
        "confusion_matrix": [], "label_names": [],
        "verdict": verdict(**ADVICE).model_dump(mode="json"),
    }  # fmt: skip
    client = boto3.client("s3")
    client.create_bucket(Bucket="mlpipeline")
    place = f"{ROOT.removeprefix('minio://mlpipeline/')}/{key}"
    client.put_object(Bucket="mlpipeline", Key=place, Body=json.dumps(body).encode())
    code, out, err = cli("fetch", RUN, "-o", "fetched")
    assert (code, err, FINDING in out) == (0, "", True)
    (line,) = [line for line in out.splitlines() if "--learning-rate" in line]
    assert f"kfp-finetune rerun {RUN} --host {cli.host} --learning-rate 0.0002" in line


def test_a_run_again_on_the_cluster_knows_the_verdict(
    cli: Cli, kubeflow: Kubeflow, judged: Callable[..., Replay], s3: Bucket, tmp_path: Path
) -> None:
    """Its log is enough: nothing was fetched."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="mlpipeline")
    client.put_object(Bucket="mlpipeline", Key=DATA, Body=b"text,label\na,b\nc,d\n")
    client.put_object(Bucket="mlpipeline", Key=MODEL, Body=b'{"model_type": "bert"}')
    judged(verdict(**ADVICE))
    code, _, err = cli("rerun", RUN, "--learning-rate", "2e-4", "--memory", "2Gi")
    assert (code, err) == (0, "")
    (run,) = kubeflow.runs.values()
    assert read_tried(run.runtime_config.parameters["earlier_runs"]) == verdict(**ADVICE).as_tried()
