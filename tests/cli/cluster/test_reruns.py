"""`rerun --host`: recorded runs of a real Kubeflow, submitted again with something changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from kfp_finetune.runs.folder import RunFolder
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.replay import Replay, recording
from tests.servers import Bucket

DATA = "data/9d733005b3d0d891956adb0b94b1016a/messages.csv"
MODEL = "data/9834d7137ddbe45b9a18fde068a0cac9/config.json"


@pytest.fixture
def staged(s3: Bucket) -> None:
    """The data of the recorded runs."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="mlpipeline")
    client.put_object(Bucket="mlpipeline", Key=DATA, Body=b"text,label\na,b\nc,d\n")
    client.put_object(Bucket="mlpipeline", Key=MODEL, Body=b'{"model_type": "bert"}')


@pytest.mark.parametrize("name", ["comparison", "scheduled", "other_root", "rerun"])
def test_a_run_again_keeps_its_pipeline_platform_and_place(
    cli: Cli, kubeflow: Kubeflow, staged: None, name: str
) -> None:
    kubeflow.replay = Replay(name)
    before = recording(name)["v2beta1"]
    code, out, err = cli("rerun", before["run_id"], "--max-length", "32")
    assert (code, err) == (0, "")
    (run,) = kubeflow.runs.values()
    spec = before["pipeline_spec"]
    assert run.pipeline_spec == spec
    assert run.service_account == before.get("service_account", "pipeline-runner")
    assert run.experiment_id == before["experiment_id"]
    assert run.runtime_config.pipeline_root == before["runtime_config"].get("pipeline_root")
    after: dict[str, Any] = run.runtime_config.parameters
    was = before["runtime_config"]["parameters"]
    changed = {n for n in was.keys() | after.keys() if was.get(n) != after.get(n)}
    assert changed - {"dataset_fingerprint", "model_fingerprint"} == {"max_length"}
    assert after["max_length"] == 32
    if name == "scheduled":  # its pipeline was compiled to cache nothing
        assert "from the cache, if available: nothing" in out
        assert run.display_name.startswith("F-cron-2026-11-29")
    else:
        assert run.display_name == f"{before['display_name']}-2"
    assert run.display_name.endswith("-2")


@pytest.mark.parametrize("registered", [True, False])
def test_an_uploaded_run_again_runs_the_same_version(
    cli: Cli, kubeflow: Kubeflow, staged: None, registered: bool
) -> None:
    kubeflow.replay = Replay("uploaded")
    before = recording("uploaded")["v2beta1"]
    reference = before["pipeline_version_reference"]
    if registered:
        kubeflow.replay.versions[reference["pipeline_version_id"]] = reference
    code, _, err = cli("rerun", before["run_id"], "--learning-rate", "1e-4")
    assert (code, err) == (0, "")
    (run,) = kubeflow.runs.values()
    found = run.pipeline_version_reference
    if registered:
        assert found.pipeline_version_id == reference["pipeline_version_id"]
    else:  # it has been deleted since, but the run has its manifest
        assert found is None
        spec = run.pipeline_spec["pipeline_spec"]
        assert spec["pipelineInfo"]["name"] == "kfp-finetune"
        assert run.pipeline_spec["platform_spec"]
    assert run.runtime_config.parameters["learning_rate"] == 1e-4


def test_a_fetched_run_again_is_the_clusters(
    cli: Cli, kubeflow: Kubeflow, staged: None, tmp_path: Path
) -> None:
    kubeflow.replay = Replay("comparison")
    before = recording("comparison")["v2beta1"]
    folder = RunFolder.create(tmp_path / "runs", "cmp3", "compare_schedules", {})
    folder.record.environment = {"cluster_run": before["run_id"]}
    folder.save()
    assert cli("rerun", "cmp3", "--max-length", "32")[0] == 0
    (run,) = kubeflow.runs.values()
    assert run.pipeline_spec == before["pipeline_spec"]


def test_names_are_numbered(cli: Cli, kubeflow: Kubeflow, staged: None) -> None:
    replay = Replay("rerun", "other_root")
    kubeflow.replay = replay
    for run_id, name in zip(replay.runs, ("first", "first-2"), strict=True):
        replay.runs[run_id]["v2beta1"]["display_name"] = name
    for name in ("first", "first-2"):
        assert cli("rerun", name, "--max-length", "32")[0] == 0
    assert [run.display_name for run in kubeflow.runs.values()] == ["first-3", "first-3"]


def test_what_cannot_be_run_again_is_refused(cli: Cli, kubeflow: Kubeflow) -> None:
    kubeflow.replay = Replay("progress", "uploaded")
    other = recording("progress")["v2beta1"]
    code, _, err = cli("rerun", other["run_id"])
    assert (code, "ran the pipeline" in err, err.strip() == "root") == (2, True, False)
    (uploaded,) = [r for r in kubeflow.replay.runs.values() if "pipeline_spec" not in r["v2beta1"]]
    uploaded["v1beta1"]["run"]["pipeline_spec"].pop("pipeline_manifest")
    code, _, err = cli("rerun", uploaded["v2beta1"]["run_id"])
    assert (code, "its version has been deleted" in err) == (2, True)
