"""`tensorboard RUN --host`: TensorBoard itself, on recorded runs and a store that grows."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from kfp_finetune.cli.cluster import live
from kfp_finetune.cli.cluster.answers import ClusterError
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.live import ClusterLogs
from tests.cli.cluster.artifact_route import ArtifactRoute
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.replay import Replay, recording
from tests.cli.cluster.stored import fill
from tests.cli.commands.test_tensorboard import make_run, points, write_logs
from tests.servers import Bucket

# The command, which copies at once: nobody waits 15 s for a test.
_COMMAND = """
from kfp_finetune.cli.cluster import live
live.SECONDS_BETWEEN_SYNCS = 0.2
from kfp_finetune.cli.main import main
main()
"""


@pytest.fixture
def put(s3: Bucket, kubeflow: Kubeflow) -> Any:
    """Puts objects into Kubeflow's bucket, which its UI passes on, too."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="mlpipeline")
    objects = boto3.resource("s3").Bucket("mlpipeline").objects
    objects.delete()

    def below(prefix: str) -> dict[str, bytes]:
        keys = [o.key for o in objects.filter(Prefix=prefix)]
        return {k: client.get_object(Bucket="mlpipeline", Key=k)["Body"].read() for k in keys}

    kubeflow.artifacts = ArtifactRoute(below)
    return lambda key, body: client.put_object(Bucket="mlpipeline", Key=key, Body=body)


def training(kubeflow: Kubeflow) -> str:
    """A run that trains and writes to a tensorboard_dir; returns its id."""
    kubeflow.replay = Replay("pending_gpu")
    (run,) = kubeflow.replay.runs.values()
    run["v2beta1"]["runtime_config"]["parameters"]["tensorboard_dir"] = "s3://mlpipeline/live"
    return str(run["v2beta1"]["run_id"])


def event_file(folder: Path, steps: int) -> bytes:
    write_logs(folder, steps)
    return next(folder.iterdir()).read_bytes()


@pytest.mark.parametrize("keys", [True, False])
def test_the_curve_grows_while_the_pod_trains(
    cli: Cli, kubeflow: Kubeflow, put: Any, tmp_path: Path, keys: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run_id = training(kubeflow)
    make_run(tmp_path / "runs", "here")
    put(f"live/{run_id}/events.out.tfevents.1.pod", event_file(tmp_path / "a", 40))
    if not keys:  # through the UI
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
    command = ["tensorboard", "here", run_id, "--host", cli.host, "--follow", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    try:
        url = process.stdout.readline().removeprefix("TensorBoard: ").strip()
        assert len(points(url, "here", 3)) == 3
        name = recording("pending_gpu")["v2beta1"]["display_name"]
        title = f"{name}-{run_id[:8]}"
        assert len(points(url, title, 40)) == 40
        monkeypatch.undo()
        put(f"live/{run_id}/events.out.tfevents.1.pod", event_file(tmp_path / "b", 90))
        # TensorBoard reads its files again every five seconds.
        found = points(url, title, 90)
        assert [step for _, step, _ in found] == list(range(90))
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_logs_grow_in_place(cli: Cli, kubeflow: Kubeflow, put: Any, tmp_path: Path) -> None:
    run_id = training(kubeflow)
    logs = ClusterLogs(Cluster(Connection(host=cli.host)), run_id, tmp_path / "copy", None)
    assert logs.sync() == 0
    numbers = set()
    for body in (b"one", b"one two"):
        put(f"live/{run_id}/events.out.tfevents.1", body)
        assert logs.sync() == 1
        file = tmp_path / "copy" / "events.out.tfevents.1"
        assert file.read_bytes() == body
        numbers.add(file.stat().st_ino)  # TensorBoard has it open, and reads on
    assert len(numbers) == 1


def test_a_comparison_has_a_curve_for_each_candidate(
    cli: Cli, kubeflow: Kubeflow, put: Any, tmp_path: Path
) -> None:
    kubeflow.replay = Replay("comparison")
    fill(put, tmp_path / "no-model", tmp_path / "logs", "comparison")
    run_id = recording("comparison")["v2beta1"]["run_id"]
    logs = ClusterLogs(Cluster(Connection(host=cli.host)), run_id, tmp_path / "copy", None)
    assert logs.sync() == 6
    assert len(logs.folders) == len({title.name for title in logs.folders}) == 6
    assert all(len(list(folder.iterdir())) == 1 for folder in logs.folders.values())


def test_copying_goes_on_after_the_network_was_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "SECONDS_BETWEEN_SYNCS", 0.0)
    again = threading.Event()

    def sync() -> int:
        if not again.is_set():
            again.set()
            raise ClusterError("cannot be reached")
        done.set()
        threading.Event().wait()  # for good: the thread ends with this process
        return 0

    done = threading.Event()
    logs: Any = SimpleNamespace(sync=sync)
    live.keep_syncing([logs])
    assert done.wait(5)
    assert capsys.readouterr().out == "update failed, trying again: cannot be reached\n"


def test_a_cluster_without_runs_is_reported(cli: Cli) -> None:
    code, _, err = cli("tensorboard")
    assert (code, "error: the cluster has no runs" in err, cli.host in err) == (2, True, True)


def test_a_run_without_logs_is_refused(cli: Cli, kubeflow: Kubeflow, put: Any) -> None:
    kubeflow.replay = Replay("null_metadata")
    code, _, err = cli("tensorboard", "gone")
    assert (code, "there is no run 'gone'" in err) == (2, True)
    code, _, err = cli("tensorboard", "s1")
    assert (code, "no artifacts found for run s1" in err, "--follow" in err) == (2, True, True)
