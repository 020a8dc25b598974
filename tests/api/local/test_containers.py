"""`run --runner docker`: the same results, and nothing seen, written or left that should not be."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.image import IMAGE
from kfp_finetune.components.storage.fingerprints import of_path
from kfp_finetune.local.containers import Containers, find_image
from tests.toy.command import Cli

COMMAND = Path(sys.executable).with_name("kfp-finetune")


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """Docker, with the image that `make image` builds."""
    try:
        with contextlib.closing(docker.from_env()) as client:
            client.images.get(IMAGE)
            yield client
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker with {IMAGE}; .ci/docker starts it and builds that: {error}")


def left(client: docker.DockerClient) -> list[Any]:
    of_runs = {"label": "kfp-finetune.run"}
    return client.containers.list(all=True, ignore_removed=True, filters=of_runs)


def in_image(client: docker.DockerClient, code: str, **options: Any) -> str:
    out: bytes = client.containers.run(IMAGE, ["python3", "-c", code], remove=True, **options)
    return out.decode()


@pytest.mark.slow
def test_the_sample_gives_the_same_in_containers(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    for runner in ("docker", "subprocess"):
        done = subprocess.run(
            [COMMAND, "run", "--runner", runner, "--no-cache", "--name", runner],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    runs = tmp_path / "runs"
    records = [json.loads((runs / r / "run.json").read_text()) for r in ("docker", "subprocess")]
    for field in ("parameters", "outputs", "metrics", "validation_metrics", "artifacts"):
        assert records[0][field] == records[1][field], field
    assert [r["environment"]["runner"] for r in records] == ["docker", "subprocess"]
    compared = [
        "build_optimizer/optimizer_config/optimizer.json",
        "finetune/model/model.safetensors",
        "finetune/model/training_log.jsonl",
        "evaluate/metrics_json",
    ]
    folders = [runs / r / "steps" for r in ("docker", "subprocess")]
    assert filecmp.cmpfiles(*folders, compared, shallow=False) == (compared, [], [])
    assert left(client) == []


@pytest.mark.slow
def test_a_local_dataset_just_works_and_files_are_the_callers(
    client: docker.DockerClient, cli: Cli
) -> None:
    code, out, err = cli.run("--runner", "docker", "--name", "one")
    assert (code, err) == (0, ""), out
    record = cli.record("one")
    assert (record["runner"], record["metrics"]["accuracy"]) == ("docker", 0.75)
    assert record["environment"]["image_id"] == client.images.get(IMAGE).id
    owners = {path.stat().st_uid for path in (cli.folder / "runs" / "one").rglob("*")}
    assert owners == {os.getuid()}
    assert left(client) == []

    code, out, _ = cli("rerun", "one", "--learning-rate", "1e-3", "--name", "two")
    assert code == 0, out
    assert cli.record("two")["runner"] == "docker"
    assert cli.cached("two")["load_data"]
    cli.run("--name", "here")
    assert not any(cli.cached("here").values())  # what a container made is not of this environment


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("internal", "finetune failed: ValueError: the weights are made of cheese"),
        ("killed", "finetune failed: killed by signal 9, probably out of memory"),
    ],
)
def test_a_container_that_fails_is_a_failure(
    client: docker.DockerClient, cli: Cli, trouble: str, message: str
) -> None:
    code, _, err = cli.run("--runner", "docker", "--name", "one", "--trouble", trouble)
    assert code == 1
    assert message in err
    assert cli.record("one")["status"] == "failed"
    assert left(client) == []


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_nothing_goes_on_when_the_command_has_ended(
    client: docker.DockerClient, cli: Cli, signum: int
) -> None:
    process = cli.start_run("--runner", "docker", "--name", "one", "--seconds-per-step", "600")
    record = cli.folder / "runs" / "one" / "run.json"
    until(lambda: record.exists() and "finetune" in cli.record("one")["steps"] and left(client))
    process.send_signal(signum)
    process.communicate(timeout=60)
    assert process.returncode == (130 if signum == signal.SIGINT else -signum)
    until(lambda: left(client) == [])


@pytest.mark.slow
def test_a_terminated_step_may_save(client: docker.DockerClient, tmp_path: Path) -> None:
    """As finetune does: it is signalled, though the container's first process is KFP's shell."""
    script = (
        "import signal, pathlib, time\n"
        "def save(*_): pathlib.Path('saved').write_text('yes'); raise SystemExit(143)\n"
        "signal.signal(signal.SIGTERM, save); print('ready', flush=True); time.sleep(600)"
    )
    run, requested = tmp_path / "run", threading.Event()
    for folder in (run, tmp_path / "temporary"):
        folder.mkdir()
    threading.Timer(4, requested.set).start()
    containers = Containers(client.images.get(IMAGE).id, run, {}, tmp_path / "temporary", requested)
    command = ["sh", "-ec", f'cd {run}; python3 -c "{script}"; exit $?']
    assert containers.run(client, IMAGE, command) == 143
    assert (run / "saved").read_text() == "yes"


def containers_for(client: docker.DockerClient, base: Path, **parameters: Any) -> Containers:
    """The containers of a run in `base` with these parameters."""
    for folder in ("run", "temporary"):
        (base / folder).mkdir()
    image = client.images.get(IMAGE).id
    return Containers(image, base / "run", parameters, base / "temporary", threading.Event())


@pytest.mark.slow
def test_a_step_sees_its_inputs_and_writes_only_its_outputs(
    client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("TF_SOMETHING", "1")
    outside = tmp_path / "elsewhere" / "weights"
    outside.parent.mkdir()
    outside.write_text("weights")
    for folder in ("model", "data", "private"):
        (tmp_path / folder).mkdir()
    (tmp_path / "model" / "model.safetensors").symlink_to(outside)
    (tmp_path / "data" / "a.csv").write_text("text,label\n")
    containers = containers_for(
        client,
        tmp_path,
        model=str(tmp_path / "model"),
        dataset=str(tmp_path / "data" / "*.csv"),
        checkpoint_dir=str(tmp_path / "saved" / "here"),
        label_names=None,
    )
    code = f"""
import os, pathlib, socket
base = pathlib.Path({str(tmp_path)!r})
assert (base / "model/model.safetensors").read_text() == "weights"
assert (base / "data/a.csv").exists() and not (base / "private").exists()
for place, allowed in (("run", 1), ("saved/here", 1), ("data", 0), ("model", 0), ("/opt", 0)):
    try:
        (base / place / "written").write_text("x")
        assert allowed, place
    except OSError as error:
        assert not allowed, error
pathlib.Path("/tmp/written").write_text("x")
assert os.getuid() == {os.getuid()}
assert [name for _, name in socket.if_nameindex()] == ["lo"]
assert "TF_SOMETHING" in os.environ
assert "HF_TOKEN" not in os.environ  # nothing is elsewhere, so nobody has to be asked
"""
    assert containers.run(client, IMAGE, ["python3", "-c", code]) == 0
    assert (tmp_path / "saved" / "here" / "written").exists()
    assert left(client) == []


@pytest.mark.slow
def test_a_step_gets_the_credentials_of_remote_inputs(
    client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text("[default]")
    monkeypatch.setenv("HOME", str(home))
    containers = containers_for(
        client, tmp_path, model="owner/name", dataset="s3://bucket/data.csv"
    )
    code = (
        "import os, pathlib, socket; assert os.environ['HF_TOKEN'] == 'hf_secret'\n"
        "file = pathlib.Path(os.environ['AWS_SHARED_CREDENTIALS_FILE'])\n"
        "assert file.read_text() == '[default]'"
    )
    assert containers.run(client, IMAGE, ["python3", "-c", code]) == 0
    assert left(client) == []


@pytest.mark.slow
def test_the_image(client: docker.DockerClient) -> None:
    image = client.images.get(IMAGE)
    settings = image.attrs["Config"]
    assert not settings.get("Entrypoint")
    assert settings["User"] == "1000:1000"
    assert settings["Labels"]["org.opencontainers.image.version"] == "0.2.0"
    assert len(settings["Labels"]["org.opencontainers.image.revision"]) == 40
    code = (
        "import importlib.util as u, os, shutil\n"
        "from kfp_finetune.components.finetune import training\n"
        "from kfp_finetune.components.evaluate import evaluation\n"
        "from kfp_finetune.pipelines.finetune import pipeline\n"
        "print(u.find_spec('pip'), u.find_spec('pytest'), shutil.which('gcc'), os.getuid())"
    )
    temporary = {"/tmp": ""}  # noqa: S108
    out = in_image(client, code, read_only=True, tmpfs=temporary, network_mode="none")
    assert out.splitlines()[-1] == "None None None 1000"
    # Neither the machine's certificates nor its index: those are mounted while it is built.
    history = json.dumps(image.history())
    assert len(history) > 1000 and "BEGIN CERTIFICATE" not in history
    found = in_image(client, "import os; print(os.path.exists('/run/secrets/ca'))")
    assert found == "False\n"


def test_wrong_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = cli.run("--image", "some:image")
    assert (code, "--image some:image without containers" in err) == (2, True)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{cli.folder}/no.sock")
    code, _, err = cli.run("--runner", "docker", "--name", "one")
    assert (code, "Docker cannot be reached" in err) == (2, True)
    assert not (cli.folder / "runs" / "one").exists()  # its name is free


@pytest.mark.slow
def test_an_image_that_is_not_there_or_another(client: docker.DockerClient) -> None:
    with pytest.raises(InputError, match="there is no image no-such-image:1"):
        find_image("no-such-image:1")
    client.api.import_image_from_data(bytes(10240), "kfp-finetune-other", "1")  # an empty archive
    try:
        with pytest.raises(InputError, match="the image has version unknown"):
            find_image("kfp-finetune-other:1")
    finally:
        client.images.remove("kfp-finetune-other:1")


def until(reached: Any, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_image_has_the_sample(client: docker.DockerClient) -> None:
    from kfp_finetune.cli.cluster.sample import IN_IMAGE, folder

    code = f"""from kfp_finetune.components.storage.fingerprints import of_path
from pathlib import Path
print(of_path(Path("{IN_IMAGE}/messages.csv")), of_path(Path("{IN_IMAGE}/model")))"""
    here = [of_path(Path(folder(), name)) for name in ("messages.csv", "model")]
    assert in_image(client, code).split() == here
