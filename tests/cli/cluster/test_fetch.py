"""`fetch`: recorded runs of a real Kubeflow, from real S3 and Google servers or a disk."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from kfp_finetune.cli.cluster.fetch import _Downloads
from kfp_finetune.cli.cluster.outputs import _run_of
from kfp_finetune.cli.cluster.route import unpack
from kfp_finetune.cli.cluster.sources import Item
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.record_artifacts.record import record_artifacts
from kfp_finetune.components.storage.folder import Folder
from tests.cli.cluster.artifact_route import ArtifactRoute, packed
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.replay import Replay, recording, workflow
from tests.cli.cluster.stored import COMPARED, ROOT, fill, keys, moved, with_index
from tests.commands import call_here
from tests.servers import Bucket
from tests.trained import write_trained

FIRST = "kfp-finetune/e1c55ad5-19d2-41c6-a256-42e79af489d1"  # null_metadata: it failed
GONE = "11111111-2222-4333-8444-555555555555"
SINGLE = ["load_data", "build_optimizer", "finetune", "evaluate"]


@pytest.fixture(scope="session")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trained(tmp_path_factory.mktemp("trained") / "model", tiny_model)


@pytest.fixture
def recorded(
    cli: Cli, kubeflow: Kubeflow, trained: Path, tmp_path: Path, s3: Bucket
) -> Callable[..., Replay]:
    """Gives the cluster recorded runs, and their artifacts to its store."""

    def recorded(*names: str) -> Replay:
        client = boto3.client("s3")
        for bucket in client.list_buckets()["Buckets"]:
            if bucket["Name"] == "mlpipeline":
                boto3.resource("s3").Bucket("mlpipeline").objects.delete()
        client.create_bucket(Bucket="mlpipeline")
        # The server is in this process: a hundred files need no hundred requests.
        server = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

        def put(key: str, body: bytes) -> None:
            server.put_object("mlpipeline", key, body)

        fill(put, trained, tmp_path / "logs", *names)
        kubeflow.replay = Replay(*names)
        return kubeflow.replay

    return recorded


def record(folder: str = "fetched") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "run.json").read_text())
    return found


def made_by(folder: str = "fetched") -> dict[str, str]:
    """Whose page each step's is: its content is its key in the store."""
    pages = {"load_data": "data_report", "build_optimizer": "learning_rate_curve"}
    pages |= {"evaluate": "report", "rank": "report"}
    found = {}
    for page in sorted(Path(folder, "steps").rglob("*")):
        step = page.parent.relative_to(Path(folder, "steps")).as_posix()
        if page.name == pages.get(step.rpartition("/")[2]):
            found[step] = "/".join(page.read_text().split("/")[:2])
    return found


@pytest.mark.parametrize("workflow_is_known", [True, False])
@pytest.mark.parametrize("name", ["succeeded", "rerun", "uploaded", "killed_then_retried"])
def test_every_step_of_a_run_is_fetched(
    cli: Cli, recorded: Callable[..., Replay], name: str, workflow_is_known: bool
) -> None:
    replay = recorded(name, "null_metadata")
    own = f"kfp-finetune/{recording(name)['v2beta1']['run_id']}"
    if not workflow_is_known:
        for run in replay.runs.values():
            run["v1beta1"].pop("pipeline_runtime")
    run_id = recording(name)["v2beta1"]["run_id"]
    code, out, err = cli("fetch", run_id, "-o", "fetched")
    assert (code, err, "not fetched" in out) == (0, "", False)
    found = record()
    cached = name != "killed_then_retried"
    if not workflow_is_known and cached:  # nothing says so, but nothing is under the run itself
        assert found["steps"]["load_data"]["cached_from"]
    else:
        assert found["steps"]["load_data"]["cached"] == cached
    assert found["steps"]["load_data"]["cached_from"] == ("s1" if cached else None)
    assert made_by() == {
        "load_data": FIRST if cached else own, "build_optimizer": own, "evaluate": own
    }  # fmt: skip
    assert (found["status"], found["pipeline"]) == ("succeeded", "finetune")
    assert (found["metrics"], found["missing"]) == ({"accuracy": 0.75}, [])
    assert found["outputs"]["num_train_steps"] == 30
    here = {p.relative_to("fetched/steps").as_posix() for p in Path("fetched/steps").rglob("*.*")}
    there = {key for key in keys(name) if key.split("/")[2] == "finetune" and "." in key}
    assert {"finetune/" + "/".join(key.split("/")[4:]) for key in there} <= here
    for page in ("report.html", "learning_rate.html", "data.html"):
        assert Path("fetched", page).is_file()


@pytest.mark.parametrize(
    ("name", "trained_by"), [("cached", "succeeded"), ("other_root", "uploaded")]
)
def test_a_run_wholly_from_the_cache_is_fetched(
    cli: Cli, recorded: Callable[..., Replay], name: str, trained_by: str
) -> None:
    recorded(name, "succeeded", "null_metadata", "rerun", "uploaded")
    code, out, err = cli("fetch", recording(name)["v2beta1"]["run_id"], "-o", "fetched")
    assert (code, err, "not fetched" in out) == (0, "", False)
    run = recording(trained_by)["v2beta1"]
    maker = f"kfp-finetune/{run['run_id']}"
    # build_optimizer left files in the first run, too, and failed there.
    assert made_by() == {"load_data": FIRST, "build_optimizer": maker, "evaluate": maker}
    steps = record()["steps"]
    assert {s: steps[s]["cached_from"] for s in SINGLE} == {
        "load_data": "s1", **dict.fromkeys(SINGLE[1:], run["display_name"])
    }  # fmt: skip
    assert record()["metrics"] == {"accuracy": 0.75}


def test_record_artifacts_lists_all_locations(
    cli: Cli, recorded: Callable[..., Replay], s3: Bucket
) -> None:
    replay = recorded("cached")  # no other run is there, nor what was under the default root
    index = f"s3://texts/elsewhere/kfp-finetune/{GONE}/record-artifacts/1/artifacts"
    with_index(replay, "cached", "succeeded", index)
    steps = {
        "load_data": ["tokenized_dataset", "data_report"],
        "build_optimizer": ["optimizer_config", "learning_rate_curve"],
        "evaluate": ["metrics", "report"],
    }
    folder = f"elsewhere/kfp-finetune/{GONE}"
    uris = {s: {n: f"s3://texts/{folder}/{s}/1/{n}" for n in names} for s, names in steps.items()}
    for step, names in steps.items():
        for name in names:
            s3.put(f"{folder}/{step}/1/{name}", f"kfp-finetune/{GONE}/{step}".encode())
    uris["finetune"] = {"model": "file:///etc", "tensorboard_logs": "/etc"}
    s3.put(index.removeprefix("s3://texts/"), record_of(uris))
    code, out, _ = cli("fetch", recording("cached")["v2beta1"]["run_id"], "-o", "fetched")
    assert code == 0
    maker = f"kfp-finetune/{GONE}"
    assert made_by() == dict.fromkeys(["load_data", "build_optimizer", "evaluate"], maker)
    found = record()
    assert found["steps"]["build_optimizer"]["cached_from"] == GONE  # it has been deleted
    assert not Path("fetched/steps/finetune").exists()  # nothing leads to this disk
    assert "not fetched: finetune: the location of mlpipeline_ui_metadata, model" in out


def record_of(uris: dict[str, dict[str, str]]) -> bytes:
    """The list that the step record_artifacts writes."""
    with tempfile.TemporaryDirectory() as folder:
        record_artifacts(f"{folder}/artifacts", "finetune", uris)
        return Path(folder, "artifacts").read_bytes()


def test_what_cannot_be_found_is_named(cli: Cli, recorded: Callable[..., Replay]) -> None:
    recorded("cached", "null_metadata")  # the run that trained has been deleted
    run_id = recording("cached")["v2beta1"]["run_id"]
    code, out, _ = cli("fetch", run_id, "-o", "fetched")
    assert code == 0
    missing = record()["missing"]
    assert [line.partition(":")[0] for line in missing] == [
        "build_optimizer",
        "finetune",
        "evaluate",
    ]
    assert all(f"not fetched: {line}" in out for line in missing)
    assert made_by() == {"load_data": FIRST}
    boto3.resource("s3").Bucket("mlpipeline").objects.filter(
        Prefix=f"v2/artifacts/{FIRST}/load-data"
    ).delete()
    shutil.rmtree("fetched")
    assert cli("fetch", run_id, "-o", "fetched")[0] == 0
    assert f"load_data: data_report: it no longer exists: {ROOT}/{FIRST}" in record()["missing"][0]


@pytest.mark.parametrize("name", ["null_metadata", "null_metadata_after_ttl"])
def test_a_failed_run_is_fetched_as_far_as_it_came(
    cli: Cli, recorded: Callable[..., Replay], name: str
) -> None:
    recorded(name)
    assert cli("fetch", recording(name)["v2beta1"]["run_id"], "-o", "fetched")[0] == 0
    found = record()
    assert (found["status"], found["error"]["step"]) == ("failed", "build_optimizer")
    assert found["steps"]["build_optimizer"]["status"] == "failed"
    assert made_by() == {"load_data": FIRST}  # what the failed step has uploaded is no output
    assert list(found["artifacts"]) == ["data_report"]
    assert Path("fetched/steps/build_optimizer/executor-logs-0").is_file()
    assert found["missing"] == [
        "build_optimizer: the step failed",
        "finetune: the step never started",
        "evaluate: the step never started",
    ]


@pytest.mark.parametrize("name", ["succeeded_after_ttl", "scheduled"])
def test_fetch_after_the_workflow_is_gone_and_of_a_scheduled_run(
    cli: Cli, recorded: Callable[..., Replay], name: str
) -> None:
    recorded(name, "null_metadata")
    assert cli("fetch", recording(name)["v2beta1"]["run_id"], "-o", "fetched")[0] == 0
    assert set(made_by()) == {"load_data", "build_optimizer", "evaluate"}
    assert record()["missing"] == []


def test_a_comparison_is_fetched_as_one(cli: Cli, recorded: Callable[..., Replay]) -> None:
    recorded("comparison")
    run_id = recording("comparison")["v2beta1"]["run_id"]
    code, out, err = cli("fetch", run_id, "-o", "runs/fetched")
    assert (code, err, "not fetched" in out) == (0, "", False)
    found = record("runs/fetched")
    assert found["pipeline"] == "compare_schedules"
    assert [c["name"] for c in found["candidates"]] == ["linear", "cosine", "constant"]
    own = f"kfp-finetune-compare-schedules/{run_id}"
    expected = {f"{trial}/evaluate": own for trial in range(6)} | {"load_data": COMPARED}
    expected |= {f"{trial}/build_optimizer": COMPARED for trial in range(6)} | {"rank": own}
    assert made_by("runs/fetched") == expected
    assert found["missing"] == []
    assert found["steps"]["3/finetune"]["seconds"] > 0
    models = [f"{trial}/finetune.model" for trial in range(6)]
    assert all(
        Path("runs/fetched", found["artifacts"][m], "manifest.json").is_file() for m in models
    )
    # It is a comparison for every other command, too.
    table = call_here(Path(), "runs", "--json")
    assert len(json.loads(table.stdout)[0]["candidates"]) == 3
    from kfp_finetune.cli.local.tensorboard import logs_of

    titles = [title.name for title in logs_of(Path("runs/fetched").absolute())]
    assert len(titles) == len(set(titles)) == 6


def test_a_fetched_run_predicts(cli: Cli, recorded: Callable[..., Replay]) -> None:
    recorded("cached", "succeeded", "null_metadata")
    code, out, _ = cli("fetch", recording("cached")["v2beta1"]["run_id"])
    assert (code, "runs/a-cached/report.html" in out) == (0, True)
    done = call_here(Path(), "predict", "a-cached", "good parcel")
    assert (done.returncode, done.stderr) == (0, "")
    assert "good parcel" in done.stdout
    row = json.loads(call_here(Path(), "runs", "--json").stdout)[0]
    assert (row["num_train_steps"], row["metrics"]) == (30, {"accuracy": 0.75})


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

    return Bucket(f"file://{tmp_path}/root", put)


def test_what_is_here_is_not_downloaded_again(
    cli: Cli, kubeflow: Kubeflow, root: Bucket, trained: Path, tmp_path: Path
) -> None:
    kubeflow.replay = Replay("killed_then_retried")
    fill(root.put, trained, tmp_path / "logs", "killed_then_retried")
    moved(kubeflow.replay, f"{root.uri}/v2/artifacts")
    assert cli("fetch", "bank")[0] == 0
    folder = tmp_path / "runs" / "bank"
    assert not (folder / "steps" / "load_data" / "tokenized_dataset").exists()
    assert not [name for name in record(str(folder))["artifacts"] if "executor-logs" in name]
    times = {f: f.stat().st_mtime_ns for f in (folder / "steps").rglob("*") if f.is_file()}
    assert cli("fetch", "bank")[0] == 0
    assert times == {f: f.stat().st_mtime_ns for f in times}
    (folder / "steps" / "evaluate" / "report").unlink()
    _, out, _ = cli("fetch", "bank", "--all")
    said = [line for line in out.splitlines() if "files" in line]
    assert [line.partition(" files")[0] for line in said] == [
        "load_data: 9 of 11", "evaluate: 1 of 3"
    ]  # fmt: skip
    assert (folder / "steps" / "load_data" / "tokenized_dataset").is_dir()


def test_a_log_that_only_the_store_has(cli: Cli, recorded: Callable[..., Replay]) -> None:
    replay = recorded("rerun")
    (run,) = replay.runs.values()
    run["logs"]["pods"].clear()
    code, out, _ = cli("logs", "D-rerun", "finetune")
    assert (code, out.rstrip().endswith("/executor-logs-0")) == (0, True)  # its key is its text


def test_another_runs_folder_is_left_alone(cli: Cli, recorded: Callable[..., Replay]) -> None:
    recorded("succeeded", "killed_then_retried")
    assert cli("fetch", "s2", "-o", "here")[0] == 0
    code, _, err = cli("fetch", "bank", "-o", "here")
    assert (code, err.splitlines()[0]) == (2, "error: the folder belongs to another run")


def test_a_broken_download_leaves_nothing_half(
    cli: Cli, recorded: Callable[..., Replay], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded("killed_then_retried")
    whole = Folder.get

    def broken(self: Folder, file: Any, target: Path) -> None:
        if target.name == "report":
            raise KeyboardInterrupt
        whole(self, file, target)

    monkeypatch.setattr(Folder, "get", broken)
    assert cli("fetch", "bank")[0] == 130
    monkeypatch.setattr(Folder, "get", whole)
    _, out, _ = cli("fetch", "bank")
    assert [line for line in out.splitlines() if "files" in line] == [
        "evaluate: 2 of 3 files, 0.0 MB"
    ]
    assert not list((tmp_path / "runs").rglob("*.part"))


def test_a_store_that_is_not_there(
    cli: Cli, recorded: Callable[..., Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded("succeeded")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, out, err = cli("fetch", "s2")
    assert (code, "hunter2" in out + err, "Traceback" in err) == (2, False, False)


def test_no_path_of_a_run_leads_out_of_its_folder(
    cli: Cli, recorded: Callable[..., Replay], tmp_path: Path
) -> None:
    replay = recorded("succeeded")
    (run,) = replay.runs.values()
    manifest = workflow(run["v1beta1"])
    text = json.dumps(manifest).replace("/report", "/../../../../../escaped")
    run["v1beta1"]["pipeline_runtime"]["workflow_manifest"] = text
    cli("fetch", "s2", "-o", str(tmp_path / "deep" / "er" / "fetched"))
    assert not list(tmp_path.rglob("escaped*"))


def test_the_run_of_a_place_with_few_parts_is_not_known() -> None:
    assert [_run_of(folder) for folder in ("", "s3:/", "s3:")] == [""] * 3
    assert _run_of("s3://bucket/pipeline/run/task/uuid") == "run"


def test_a_step_whose_name_is_a_path_is_not_fetched(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    folder: Any = SimpleNamespace(path=tmp_path / "run", steps=tmp_path / "run" / "steps")
    folder.steps.mkdir(parents=True)
    step: Any = SimpleNamespace(
        step=SimpleNamespace(key=str(outside)), uris={"report": "s3://a/b"}, logs=(), missing=""
    )
    item = Item("", 1, "", lambda target: pytest.fail(f"written to {target}"))
    sources: Any = SimpleNamespace(items=lambda uri: [item])
    downloads = _Downloads(folder, sources, lambda said: None, ())
    assert downloads.of(step) == []
    assert downloads.missing == [
        f"{outside}: report: its path points outside the run's folder: {outside}/report"
    ]


@pytest.mark.parametrize("key", ["../../../../home/u/x", "a/../../x", "/x"])
def test_a_key_that_climbs_out_of_its_folder_is_refused(s3: Bucket, key: str) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="climbing")
    boto3.resource("s3").Bucket("climbing").objects.delete()
    client.put_object(Bucket="climbing", Key="run/a/kept..", Body=b"1")
    store = Folder("s3://climbing/run")
    assert [file.name for file in store.files()] == ["a/kept.."]
    client.put_object(Bucket="climbing", Key=f"run/{key}", Body=b"1")
    store = Folder("s3://climbing/run")
    with pytest.raises(InputError, match="points outside its folder") as refused:
        store.files()
    assert f"climbing/run/{key}" in refused.value.where


@pytest.fixture
def ui(
    recorded: Callable[..., Replay], kubeflow: Kubeflow, monkeypatch: pytest.MonkeyPatch
) -> ArtifactRoute:
    """The host is Kubeflow's UI, and this machine has neither address nor keys of the store."""
    found = boto3.client("s3")  # made while there are keys
    objects = boto3.resource("s3").Bucket("mlpipeline").objects

    def below(prefix: str) -> dict[str, bytes]:
        keys = [o.key for o in objects.filter(Prefix=prefix)]
        return {k: found.get_object(Bucket="mlpipeline", Key=k)["Body"].read() for k in keys}

    kubeflow.artifacts = ArtifactRoute(below)
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    return kubeflow.artifacts


@pytest.mark.parametrize("namespace", [None, "team"])
def test_fetch_through_the_ui_without_keys_of_the_store(
    cli: Cli, recorded: Callable[..., Replay], kubeflow: Kubeflow, namespace: str | None,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    recorded("rerun", "null_metadata")
    assert cli("fetch", "D-rerun", "-o", "direct")[0] == 0
    ui: ArtifactRoute = request.getfixturevalue("ui")
    ui.namespace, kubeflow.namespaces = namespace, [namespace] if namespace else None
    options = ["--namespace", namespace] if namespace else []
    code, out, err = cli("fetch", "D-rerun", "-o", "routed", *options)
    assert (code, err, "not fetched" in out) == (0, "", False)
    direct, routed = (
        {p.relative_to(top): p.read_bytes() for p in Path(top, "steps").rglob("*") if p.is_file()}
        for top in ("direct", "routed")
    )
    assert direct == routed
    assert record("routed")["artifacts"] == record("direct")["artifacts"]
    for run in kubeflow.replay.runs.values():  # type: ignore[union-attr]
        run["logs"]["pods"].clear()
    code, out, _ = cli("logs", "D-rerun", "finetune", *options)
    assert (code, out.rstrip().endswith("/executor-logs-0")) == (0, True)  # its key is its text
    asked = len(ui.asked)
    assert cli("fetch", "D-rerun", "-o", "routed", *options)[0] == 0
    assert len(ui.asked) - asked <= 1  # is it the UI? nothing is downloaded again


def test_fetch_through_the_ui_of_a_store_that_has_folders(
    cli: Cli, recorded: Callable[..., Replay], request: pytest.FixtureRequest
) -> None:
    recorded("rerun", "null_metadata")
    request.getfixturevalue("ui").seaweed = True
    code, out, err = cli("fetch", "D-rerun", "-o", "routed")
    assert (code, err) == (0, "")
    there = {
        key.split("/")[-1] for key in keys("rerun") if "/finetune/" in key and "/model/" in key
    }
    assert {path.name for path in Path("routed/steps/finetune/model").iterdir()} == there
    assert Path("routed/steps/build_optimizer/optimizer_config/optimizer.json").is_file()
    (missing,) = record("routed")["missing"]  # the names of event files cannot be guessed
    assert missing.startswith("finetune: tensorboard_logs: Kubeflow's UI cannot send folders")
    assert missing in out
    assert record("routed")["metrics"] == {"accuracy": 0.75}


@pytest.mark.parametrize(
    ("files", "fields"),
    [
        ({"../../escaped": b"x"}, {}),
        ({"/tmp/escaped": b"x"}, {}),  # noqa: S108
        ({"link": b""}, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ({"link": b""}, {"type": tarfile.LNKTYPE, "linkname": "../../run.json"}),
        ({"device": b""}, {"type": tarfile.CHRTYPE}),
    ],
)
def test_an_archive_that_leads_out_is_refused(
    cli: Cli, recorded: Callable[..., Replay], request: pytest.FixtureRequest, tmp_path: Path,
    files: dict[str, bytes], fields: dict[str, Any],
) -> None:  # fmt: skip
    recorded("rerun", "null_metadata")
    request.getfixturevalue("ui").archive = packed(files, **fields)
    code, _, err = cli("fetch", "D-rerun", "-o", "deep/fetched")
    assert (code, err.partition(":")[2][:26]) == (2, " the archive was refused: ")
    assert not list(tmp_path.rglob("escaped*"))
    assert not list(tmp_path.rglob(".*.part"))
    assert not list(tmp_path.rglob("link"))


def test_an_archive_is_bounded_and_whole(tmp_path: Path) -> None:
    bomb = packed({"zeros": bytes(1 << 20)})
    assert len(bomb) < 5000
    with pytest.raises(InputError, match="more than 10 files or 1,000,000 bytes"):
        unpack(io.BytesIO(bomb), tmp_path / "a", "here", most_files=10, most_bytes=10**6)
    many = packed({f"{i}": b"" for i in range(11)})
    with pytest.raises(InputError, match="more than 10 files"):
        unpack(io.BytesIO(many), tmp_path / "b", "here", most_files=10)
    with pytest.raises((tarfile.TarError, EOFError)):
        unpack(io.BytesIO(bomb[:-900]), tmp_path / "c", "here")


def test_a_host_that_is_not_the_ui_asks_for_the_stores_keys(
    cli: Cli, recorded: Callable[..., Replay], kubeflow: Kubeflow, request: pytest.FixtureRequest
) -> None:
    recorded("rerun", "null_metadata")
    request.getfixturevalue("ui")
    kubeflow.artifacts = None
    code, _, err = cli("fetch", "D-rerun", "-o", "fetched")
    assert (code, "AWS_ENDPOINT_URL" in err) == (2, True)
