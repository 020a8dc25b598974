"""Event files kept in a durable place during training, and TensorBoard in Kubeflow's UI."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kfp_finetune.cli.cluster.configure import tensorboard_view
from kfp_finetune.cli.cluster.platform import Platform
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import live_logs, ui_metadata
from kfp_finetune.components.storage.schemes import open_filesystem
from tests.servers import Bucket

SERVICES = Path(__file__).parents[1] / "cli" / "cluster" / "recordings" / "services.json"
RUN_ID = "0b1e6a3e-0000-4000-8000-000000000000"


def read(directory: str, run: str) -> bytes:
    uri = f"{directory}/{run}/events.out.tfevents.1"
    store = open_filesystem(directory.partition("://")[0] if "://" in directory else "file")
    content: bytes = store.cat_file(uri)
    return content


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_event_files_are_there_while_they_grow_and_after_a_failure(
    place: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = str(tmp_path / "live")
    if place == "bucket":
        bucket: Bucket = request.getfixturevalue("s3")
        directory = f"{bucket.uri}/live"
    monkeypatch.setattr(live_logs, "SECONDS_BETWEEN_SYNCS", 0.05)
    logs = tmp_path / "logs"
    logs.mkdir()
    events = logs / "events.out.tfevents.1"
    with (
        pytest.raises(RuntimeError),
        live_logs.synced(str(logs), directory, f"s3://b/root/pipeline/{RUN_ID}/finetune"),
    ):
        events.write_bytes(b"one")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if read(directory, RUN_ID) == b"one":
                    break
            except FileNotFoundError:
                time.sleep(0.05)
        assert read(directory, RUN_ID) == b"one"
        events.write_bytes(b"one two")
        raise RuntimeError("training failed")
    assert read(directory, RUN_ID) == b"one two"


def test_a_place_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, s3: Bucket
) -> None:
    (tmp_path / "file").write_text("")
    for directory in (str(tmp_path / "file"), "s3://no-such-bucket/live", "ftp://me:pw@host/live"):
        with (
            pytest.raises(InputError, match="the event files cannot be written there") as caught,
            live_logs.synced(str(tmp_path), directory, "/runs/one/steps/finetune"),
        ):
            raise AssertionError("training began")
        assert "pw" not in str(caught.value)


def test_the_folder_is_named_after_the_run() -> None:
    assert live_logs.run_name("/home/me/runs/one/steps/finetune") == "one"
    assert live_logs.run_name(f"minio://mlpipeline/v2/artifacts/p/{RUN_ID}/finetune") == RUN_ID


def shown(folder: Path, logs: str, owner: str = f"s3://mlpipeline/p/{RUN_ID}/finetune") -> Any:
    """The metadata for Kubeflow's UI."""
    ui_metadata.write(str(folder / "metadata"), logs, owner)
    (output,) = json.loads((folder / "metadata").read_text())["outputs"]
    return output


def test_a_kubeflow_without_a_viewer_shows_the_command(tmp_path: Path) -> None:
    """An entry for TensorBoard is a red error there."""
    output = shown(tmp_path, f"minio://mlpipeline/p/{RUN_ID}/finetune/logs")
    assert (output["type"], output["storage"]) == ("markdown", "inline")
    command = [line.removeprefix("    ") for line in output["source"].splitlines()[2:]]
    shell = ["sh", "-c", 'kfp-finetune() { printf "%s|" "$@"; }\n' + "\n".join(command)]
    shell = [part.replace("kfp-finetune", "kfp_finetune") for part in shell]
    run = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert run.stdout == f"tensorboard|{RUN_ID}|--host|URL|"
    assert max(map(len, command)) <= 64  # as wide as the UI's panel


def test_the_ui_reads_kubeflows_own_store_with_keys_by_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = tensorboard_view(Platform.model_validate({"tensorboard": {}}))
    monkeypatch.setenv(ui_metadata.POD_VARIABLE, json.dumps(view))
    output = shown(tmp_path, "minio://mlpipeline/v2/artifacts/a/logs")
    assert (output["type"], output["source"]) == (
        "tensorboard",
        "s3://mlpipeline/v2/artifacts/a/logs",
    )
    (container,) = output["pod_template_spec"]["spec"]["containers"]
    variables = {variable["name"]: variable for variable in container["env"]}
    assert variables["AWS_SECRET_ACCESS_KEY"]["valueFrom"] == {
        "secretKeyRef": {"name": "mlpipeline-minio-artifact", "key": "secretkey"}
    }
    assert "value" not in variables["AWS_SECRET_ACCESS_KEY"]
    found = json.loads(SERVICES.read_text())
    url = urlsplit(variables["AWS_ENDPOINT_URL"]["value"])
    assert url.port in [p["port"] for p in found["services"][str(url.hostname).split(".")[0]]]


def test_the_ui_reads_another_store_as_configured_in_the_platform_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        "image": "tensorboard:1",
        "env": {"AWS_REGION": "eu-1"},
        "secrets": [{"name": "store", "env": {"AWS_ACCESS_KEY_ID": "id"}}],
    }
    view = tensorboard_view(Platform.model_validate({"tensorboard": said}))
    monkeypatch.setenv(ui_metadata.POD_VARIABLE, json.dumps(view))
    output = shown(tmp_path, "s3://mine/logs")
    assert (output["source"], output["image"]) == ("s3://mine/logs", "tensorboard:1")
    assert [v["name"] for v in output["pod_template_spec"]["spec"]["containers"][0]["env"]] == [
        "AWS_REGION", "AWS_ACCESS_KEY_ID",
    ]  # fmt: skip
