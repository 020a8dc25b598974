"""`fetch` and `tensorboard --host`: from a real S3 server, or a disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.live import ClusterLogs
from kfp_finetune.cli.cluster.options import Connection
from kfp_finetune.cli.cluster.store import Store
from kfp_finetune.components.artifacts.metrics import Metrics
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.test_tensorboard import get, write_logs
from tests.servers import Bucket

COMMAND = Path(sys.executable).with_name("kfp-finetune")
UUID = "0b1e6a3e-0000-4000-8000-000000000000"


def outputs_of(logs: Path) -> dict[str, bytes]:
    """What the steps of a run leave: name below the run's folder to content."""
    metrics = Metrics(
        split="test", num_examples=4, metrics={"accuracy": 0.75},
        per_class=[], confusion_matrix=[], label_names=[],
    )  # fmt: skip
    write_logs(logs)
    (events,) = logs.iterdir()
    return {
        f"load-data/{UUID}/tokenized_dataset/train.arrow": b"0" * 1000,
        f"load-data/{UUID}/data_report": b"<html>data",
        f"finetune/{UUID}/tensorboard_logs/{events.name}": events.read_bytes(),
        f"finetune/{UUID}/executor-logs": b"noise",
        f"evaluate/{UUID}/report": b"<html>report",
        f"evaluate/{UUID}/metrics_json": metrics.model_dump_json().encode(),
    }


@pytest.fixture(params=["s3", "gcs", "disk"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    """A pipeline root: in either store, or on a disk."""
    if request.param != "disk":
        found: Bucket = request.getfixturevalue(request.param)
        return Bucket(
            f"{found.uri}/{tmp_path.name}", lambda k, b: found.put(f"{tmp_path.name}/{k}", b)
        )

    def put(key: str, body: bytes) -> None:
        (tmp_path / "root" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / key).write_bytes(body)

    return Bucket(str(tmp_path / "root"), put)


def make_run(
    cli: Cli, kubeflow: Kubeflow, root: Bucket, name: str, outputs: dict[str, bytes], **steps: str
) -> Any:
    cli("submit", "--dataset", "a/b", "--model", "c/d", "--name", name, "--pipeline-root", root.uri)
    run = list(kubeflow.runs.values())[-1]
    kubeflow.end(run, **steps)
    for key, body in outputs.items():
        root.put(f"kfp-finetune/{run.run_id}/{key}", body)
    return run


def test_a_fetched_run_is_a_run_folder(
    cli: Cli, kubeflow: Kubeflow, root: Bucket, tmp_path: Path
) -> None:
    run = make_run(cli, kubeflow, root, "one", outputs_of(tmp_path / "logs"))
    code, out, err = cli("fetch", "one")
    assert (code, err) == (0, "")
    assert "test accuracy  0.7500" in out
    folder = tmp_path / "runs" / "one"
    record = json.loads((folder / "run.json").read_text())
    assert (record["status"], record["metrics"]) == ("succeeded", {"accuracy": 0.75})
    assert (folder / "report.html").read_text() == "<html>report"
    assert record["artifacts"]["report"] == "steps/evaluate/report"
    assert (folder / "steps" / "finetune" / "executor-logs").read_bytes() == b"noise"
    assert not (folder / "steps" / "load_data" / "tokenized_dataset").exists()
    assert "executor-logs" not in record["artifacts"]

    times = {f: f.stat().st_mtime_ns for f in (folder / "steps").rglob("*") if f.is_file()}
    assert cli("fetch", "one")[0] == 0
    assert times == {f: f.stat().st_mtime_ns for f in times}  # nothing was downloaded again
    (folder / "steps" / "evaluate" / "report").unlink()
    _, out, _ = cli("fetch", run.run_id, "--all", "-o", str(folder))
    assert [line for line in out.splitlines() if "files" in line] == [
        "load_data: 1 of 2 files, 0.0 MB", "evaluate: 1 of 2 files, 0.0 MB"
    ]  # fmt: skip

    make_run(cli, kubeflow, root, "two", {})
    code, _, err = cli("fetch", "two", "-o", str(folder))
    assert (code, "run two has left nothing there" in err) == (2, True)


def test_another_runs_folder_is_left_alone(
    cli: Cli, kubeflow: Kubeflow, s3: Bucket, tmp_path: Path
) -> None:
    outputs = outputs_of(tmp_path / "logs")
    for name in ("one", "two"):
        make_run(cli, kubeflow, s3, name, outputs)
    assert cli("fetch", "one", "-o", "here")[0] == 0
    code, _, err = cli("fetch", "two", "-o", "here")
    assert (code, err.splitlines()[0]) == (2, "error: another run is there")


def test_a_broken_download_leaves_nothing_half(
    cli: Cli, kubeflow: Kubeflow, s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(cli, kubeflow, s3, "one", outputs_of(tmp_path / "logs"))
    whole = Store.get

    def broken(self: Store, file: Any, target: Path) -> None:
        if file.name.startswith("report"):
            raise KeyboardInterrupt
        whole(self, file, target)

    monkeypatch.setattr(Store, "get", broken)
    assert cli("fetch", "one")[0] == 130
    monkeypatch.setattr(Store, "get", whole)
    _, out, _ = cli("fetch", "one")
    assert [line for line in out.splitlines() if "files" in line] == [
        "evaluate: 1 of 2 files, 0.0 MB"
    ]
    assert not list((tmp_path / "runs").rglob("*.part"))


def test_a_store_that_is_not_there(
    cli: Cli, kubeflow: Kubeflow, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(cli, kubeflow, s3, "one", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, out, err = cli("fetch", "one")
    assert (code, "hunter2" in out + err, "Traceback" in err) == (2, False, False)
    code, _, err = cli("fetch", "one", "--pipeline-root", "ftp://host/a")
    assert (code, "this is no place in a store" in err) == (2, True)


def test_live_logs_grow(cli: Cli, kubeflow: Kubeflow, s3: Bucket, tmp_path: Path) -> None:
    cli("submit", "--dataset", "a/b", "--model", "c/d", "--tensorboard-dir", f"{s3.uri}/live")
    (run,) = kubeflow.runs.values()
    logs = ClusterLogs(Cluster(Connection(host=cli.host)), run, tmp_path / "copy", s3.uri)
    assert logs.sync() == 0
    for body in (b"one", b"one two"):
        s3.put(f"live/{run.run_id}/events.out.tfevents.1", body)
        assert logs.sync() == 1
        assert (tmp_path / "copy" / "events.out.tfevents.1").read_bytes() == body


def test_local_and_cluster_runs_side_by_side(
    cli: Cli, kubeflow: Kubeflow, s3: Bucket, tmp_path: Path
) -> None:
    from tests.cli.test_tensorboard import make_run as make_local_run

    make_local_run(tmp_path / "runs", "here")
    run = make_run(cli, kubeflow, s3, "there", outputs_of(tmp_path / "logs"))
    code, _, err = cli("tensorboard", "gone")
    assert (code, "there is no run 'gone'" in err) == (2, True)
    process = subprocess.Popen(
        [COMMAND, "tensorboard", "here", "there", "--host", cli.host, "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    ender = threading.Timer(90, process.kill)
    ender.start()
    try:
        url = process.stdout.readline().removeprefix("TensorBoard: ").strip()
        base = f"http://localhost:{urlsplit(url).port}"
        deadline = time.monotonic() + 60
        tags: dict[str, Any] = {}
        while len(tags) < 2 and time.monotonic() < deadline:
            tags = json.loads(get(f"{base}/data/plugin/scalars/tags"))
            time.sleep(0.2)
        assert set(tags) == {"here", f"there-{run.run_id[:8]}"}
    finally:
        ender.cancel()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
