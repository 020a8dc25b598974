"""`kfp-finetune submit` and `rerun --host`: what the cluster is told, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.runs.folder import RunFolder
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.servers import Bucket

COMMAND = Path(sys.executable).with_name("kfp-finetune")
SAMPLE = Path(__file__).parents[3] / "pipelines" / "finetune" / "sample"
Submit = Callable[..., tuple[int, str, str]]


def only(items: dict[str, Any]) -> Any:
    (item,) = items.values()
    return item


def test_a_run_is_started_with_its_parameters(kubeflow: Kubeflow, submit: Submit) -> None:
    code, out, err = submit("--learning-rate", "1e-4", "--name", "first", "--no-cache")
    assert (code, err) == (0, "")
    run = only(kubeflow.runs)
    assert run.display_name == "first"
    assert (
        f"  page     {out.split('page     ')[1].split('/#')[0]}/#/runs/details/{run.run_id}" in out
    )
    assert only(kubeflow.experiments).display_name == "kfp-finetune"
    assert run.experiment_id == only(kubeflow.experiments).experiment_id
    given = run.runtime_config.parameters
    assert given["learning_rate"] == 1e-4
    assert given["batch_size"] == 32
    assert "test_dataset" not in given  # unset, so the component's own default
    declared = run.pipeline_spec["root"]["inputDefinitions"]["parameters"]
    assert given.keys() <= declared.keys()


def test_the_installed_command_in_the_client_without_tensorflow(
    served: tuple[str, Kubeflow], tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    for module in (
        "tensorflow",
        "keras",
        "transformers",
        "datasets",
        "sklearn",
        "numpy",
        "scipy",
    ):
        (blocked / module).mkdir(parents=True)
        (blocked / module / "__init__.py").write_text("raise ImportError('not in the client')")
    done = subprocess.run(
        [COMMAND, "submit", "--host", served[0], "--dataset", "hf://datasets/a/b.csv",
         "--model", "a/b", "--platform", "platform.yaml"],
        cwd=_with_platform(tmp_path), capture_output=True, text=True, timeout=120,
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "PYTHONPATH": str(blocked),
             "HF_HUB_OFFLINE": "1", "NO_PROXY": "*"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    spec = only(served[1].runs).pipeline_spec
    executors = spec["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["exec-finetune"]["secretAsEnv"][0]["secretName"] == "hub"


def _with_platform(folder: Path) -> Path:
    (folder / "platform.yaml").write_text("secrets: [{name: hub, env: {HF_TOKEN: token}}]\n")
    return folder


def test_a_local_path_is_refused(kubeflow: Kubeflow, cli: Cli, data: dict[str, Path]) -> None:
    code, out, err = cli("submit", "--dataset", "train.csv", "--model", "model")
    assert (code, out) == (2, "")
    assert err == (
        f"error: dataset is {data['dataset']}; model is {data['model']}\n"
        "  where:    --dataset, --model\n"
        "  expected: a location that a pod can read: s3://, gs://, https://, or a Hub id\n"
        "  remedy:   upload it with --stage-uri s3://BUCKET/FOLDER\n"
    )
    assert not kubeflow.runs


@pytest.mark.parametrize(
    "name", ["nothing.conllu", "nothing.iob2", "nothing.CSV.gz", "nothing.parquet", "nothing.zip"]
)
def test_a_file_that_does_not_exist_is_no_hub_id(
    kubeflow: Kubeflow, submit: Submit, tmp_path: Path, name: str
) -> None:
    for stage in ([], ["--stage-uri", "s3://texts/stage"]):
        code, _, err = submit(*stage, dataset=name)
        assert (code, err.splitlines()[0]) == (2, "error: there is no file")
        assert f"where:    dataset: {tmp_path}/{name}" in err
    assert not kubeflow.runs


def test_the_files_read_from_the_hub_are_listed(kubeflow: Kubeflow, submit: Submit) -> None:
    _, out, _ = submit(dataset="data/nothing", model="a/b")
    assert "from the Hugging Face Hub: dataset data/nothing, model a/b\n" in out
    _, out, _ = submit(dataset="s3://bucket/data.csv", model="s3://bucket/model")
    assert "Hub" not in out


@pytest.mark.parametrize("pipeline", ["finetune", "compare_schedules"])
def test_without_a_dataset_it_is_the_sample_from_the_image(
    kubeflow: Kubeflow, cli: Cli, pipeline: str
) -> None:
    from kfp_finetune.components.load_data import fingerprints

    code, out, err = cli("submit", "--pipeline", pipeline, "--name", "sample")
    assert (code, err) == (0, "")
    assert "not cached" not in out
    assert "Hub" not in out
    run = only(kubeflow.runs)
    first = run.runtime_config.parameters
    assert first["dataset"] == "/opt/venv/sample/messages.csv"
    assert first["model"] == "/opt/venv/sample/model"
    here = {"dataset": str(SAMPLE / "messages.csv"), "model": str(SAMPLE / "model")}
    assert first["dataset_fingerprint"] == fingerprints.of_dataset(here)
    assert first["model_fingerprint"] == fingerprints.of_model(here)
    if pipeline == "finetune":  # and again, from what the cluster knows of it
        code, out, err = cli("rerun", "sample", "--num-train-epochs", "2", "--name", "again")
        assert (code, err) == (0, "")
        second = list(kubeflow.runs.values())[1].runtime_config.parameters
        assert {n for n in second if second[n] != first.get(n)} == {"num_train_epochs"}


def test_the_image_has_the_sample_where_the_steps_look() -> None:
    root = Path(__file__).parents[3]
    text = (root / "Dockerfile").read_text()
    (link,) = re.findall(r"cd (\S+) && ln -s (\S+)/kfp_finetune/(\S+) (\S+)", text)
    folder, packages, below, name = link
    assert f"{folder}/{name}" == "/opt/venv/sample"
    assert packages == "lib/python3*/site-packages"
    assert (root / below / "messages.csv").is_file()
    assert (root / below / "model" / "config.json").is_file()


def test_what_a_step_writes_must_be_where_a_pod_can(
    kubeflow: Kubeflow, submit: Submit, tmp_path: Path
) -> None:
    code, _, err = submit("--checkpoint-dir", "here", "--stage-uri", "s3://texts/stage")
    assert (code, f"checkpoint_dir is {tmp_path}/here" in err) == (2, True)
    (tmp_path / "platform.yaml").write_text("checkpoints_pvc: work\n")
    code, _, err = submit("--checkpoint-dir", "/mnt/checkpoints/a", "--platform", "platform.yaml")
    assert (code, err) == (0, "")
    assert only(kubeflow.runs).runtime_config.parameters["checkpoint_dir"] == "/mnt/checkpoints/a"


def test_local_data_is_staged_once_under_its_content(
    kubeflow: Kubeflow, cli: Cli, data: dict[str, Path], bucket: Bucket, tmp_path: Path
) -> None:
    stage = ["--stage-uri", f"{bucket.uri}/stage"]
    code, out, _ = cli("submit", "--dataset", "train.csv", "--model", "model", *stage)
    assert code == 0  # the server, in this process, has its own to say on stderr
    assert "uploading dataset: 1 file" in out
    assert "uploading model: 2 files" in out
    assert "not cached" not in out
    first = only(kubeflow.runs).runtime_config.parameters
    assert first["dataset"].startswith(f"{bucket.uri}/stage/")
    assert re.fullmatch(r"[0-9a-f]{32}/train.csv", first["dataset"].partition("/stage/")[2])
    assert re.fullmatch(r"[0-9a-f]{32}/model", first["model"].partition("/stage/")[2])

    (tmp_path / "elsewhere").mkdir()
    data["dataset"].rename(tmp_path / "elsewhere" / "train.csv")
    code, out, _ = cli("submit", "--dataset", "elsewhere/train.csv", "--model", "model", *stage)
    assert (code, "dataset: already in" in out) == (0, True)
    second = list(kubeflow.runs.values())[1].runtime_config.parameters
    assert second == first

    (tmp_path / "elsewhere" / "train.csv").write_text("text,label\na,b\n")
    cli("submit", "--dataset", "elsewhere/train.csv", "--model", "model", *stage)
    third = list(kubeflow.runs.values())[2].runtime_config.parameters
    assert third["dataset"] != first["dataset"]
    assert third["dataset_fingerprint"] != first["dataset_fingerprint"]
    assert third["model_fingerprint"] == first["model_fingerprint"]


@pytest.mark.parametrize(
    "dataset", ["data", "data/*.csv", "data/**/*.csv", "data/o?e.csv", "my data+#1 ü学.csv"]
)
def test_what_is_staged_is_what_load_data_reads(
    cli: Cli, kubeflow: Kubeflow, data: dict[str, Path], s3: Bucket, tmp_path: Path, dataset: str
) -> None:
    from kfp_finetune.components.load_data import fingerprints
    from kfp_finetune.components.load_data.readers.locations import locate

    for name in ("data/one.csv", "data/two.csv", "my data+#1 ü学.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data["dataset"].read_bytes())
    code, _, err = cli(
        "submit", "--dataset", dataset, "--model", "model", "--stage-uri", f"{s3.uri}/stage"
    )
    assert (code, err) == (0, "")
    given = only(kubeflow.runs).runtime_config.parameters
    files = [file for split in locate(given["dataset"]).files.values() for file in split]
    expected = {"data/o?e.csv": ["one.csv"], "my data+#1 ü学.csv": [dataset]}
    assert sorted(f.path.name.rpartition("/")[2] for f in files) == expected.get(
        dataset, ["one.csv", "two.csv"]
    )
    names = {name: given.get(name) for name in (*fingerprints.DATASETS, "dataset_revision")}
    fingerprints.check_unchanged(names | {"dataset_fingerprint": given["dataset_fingerprint"]})


def test_a_staged_model_is_the_model(
    cli: Cli, kubeflow: Kubeflow, data: dict[str, Path], s3: Bucket
) -> None:
    from kfp_finetune.components.load_data import model_location

    cli("submit", "--dataset", "train.csv", "--model", "model", "--stage-uri", f"{s3.uri}/stage")
    uri = only(kubeflow.runs).runtime_config.parameters["model"]
    folder = model_location.resolve(uri, None, weights=True)
    assert {f.name for f in folder.iterdir()} == {"config.json", "vocab.txt"}


@pytest.mark.parametrize("command", ["submit", "rerun"])
def test_the_model_of_a_local_run_is_staged(
    cli: Cli, kubeflow: Kubeflow, data: dict[str, Path], s3: Bucket, command: str
) -> None:
    run = RunFolder.create(Path("runs"), "earlier", "finetune", {"dataset": "a/b", "model": "c/d"})
    run.record.artifacts = {"model": "steps/finetune/model"}
    run.save()
    model = run.path / "steps" / "finetune" / "model"
    model.parent.mkdir(parents=True)
    data["model"].rename(model)
    (model / "manifest.json").write_text("{}")
    first = ["submit", "--dataset", "train.csv"] if command == "submit" else ["rerun", "earlier"]
    code, _, err = cli(*first, "--model", "earlier", "--stage-uri", f"{s3.uri}/stage")
    assert (code, err) == (0, "")
    # A report's headline is the end of it: the run's name, not "model".
    model_uri = only(kubeflow.runs).runtime_config.parameters["model"]
    assert re.fullmatch(rf"{s3.uri}/stage/[0-9a-f]{{32}}/earlier", model_uri)


def test_indistinguishable_inputs_are_not_cached(kubeflow: Kubeflow, submit: Submit) -> None:
    def cached() -> set[bool]:
        run = list(kubeflow.runs.values())[-1]
        tasks = run.pipeline_spec["root"]["dag"]["tasks"].values()
        return {bool(task["cachingOptions"].get("enableCache")) for task in tasks}

    _, out, _ = submit()  # a Hub id, and no Hub
    assert "not cached: changes of the data or the model cannot be detected" in out
    assert cached() == {False}


def test_recurring_runs(kubeflow: Kubeflow, submit: Submit) -> None:
    code, _, err = submit("--cron", "0 6 * * 1")
    assert (code, err) == (0, "")
    schedule = only(kubeflow.schedules)
    assert schedule.trigger.cron_schedule.cron == "0 0 6 * * 1"  # KFP wants the seconds
    given = schedule.runtime_config.parameters
    assert "dataset_fingerprint" not in given  # there will be other data each time
    tasks = schedule.pipeline_spec["root"]["dag"]["tasks"].values()
    assert not any(task["cachingOptions"].get("enableCache") for task in tasks)
    assert not kubeflow.runs
    for arguments, message in ((["--cron", "0 6 * * 1", "--wait"], "--wait is given with --cron"),):
        code, _, err = submit(*arguments)
        assert (code, message in err) == (2, True), err


def test_a_comparison(kubeflow: Kubeflow, submit: Submit, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("parallelism: 2\nsteps: {finetune: {cpu_limit: 4}}\n")
    compare = ["--pipeline", "compare_schedules", "--preset", "course", "--seeds", "1,2"]
    code, _, err = submit(*compare, "--platform", "two.yaml", "--no-cache")
    assert (code, err) == (0, "")
    run = only(kubeflow.runs)
    candidates = run.runtime_config.parameters["candidates"]
    assert [(c["name"], c["seed"]) for c in candidates][:3] == [
        ("constant 1e-3", 1),
        ("constant 1e-3", 2),
        ("constant 5e-5", 1),
    ]
    spec = run.pipeline_spec.get("pipeline_spec", run.pipeline_spec)
    loop = spec["root"]["dag"]["tasks"]["for-loop-1"]
    assert loop["iteratorPolicy"]["parallelismLimit"] == 2
    inner = spec["components"]["comp-for-loop-1"]["dag"]["tasks"]
    assert all(not task["cachingOptions"] for task in inner.values())
    limits = spec["deploymentSpec"]["executors"]["exec-finetune"]["container"]["resources"]
    assert limits["cpuLimit"] == 4


def test_a_version_is_registered_once(kubeflow: Kubeflow, submit: Submit) -> None:
    for _ in range(2):
        code, _, err = submit("--upload", "--no-cache")
        assert (code, err) == (0, "")
    assert only(kubeflow.pipelines).name == "kfp-finetune"
    version = only(kubeflow.versions)
    assert len(kubeflow.uploads) == 1
    references = {r.pipeline_version_reference.pipeline_version_id for r in kubeflow.runs.values()}
    assert references == {version.pipeline_version_id}


def test_a_cluster_run_again(kubeflow: Kubeflow, cli: Cli, data: Any, s3: Bucket) -> None:
    stage = ["--stage-uri", f"{s3.uri}/stage"]
    cli("submit", "--dataset", "train.csv", "--model", "model", "--name", "first", *stage)
    first = only(kubeflow.runs)
    code, out, err = cli("rerun", "first", "--learning-rate", "1e-4", "--name", "second")
    assert (code, err) == (0, "")
    assert "from the cache, if available: load_data, count_steps\n" in out
    second = list(kubeflow.runs.values())[1]
    before, after = first.runtime_config.parameters, second.runtime_config.parameters
    differing = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    assert differing == {"learning_rate"}
    assert second.pipeline_spec == first.pipeline_spec
    # Other data, and nobody knows what the first run chose.
    code, out, err = cli("rerun", "first", "--validation-fraction", "0.2", "--name", "third")
    assert (code, err) == (0, "")
    assert "values that run first chose are chosen anew: " in out
    third = list(kubeflow.runs.values())[2].runtime_config.parameters
    assert not third.keys() & {"learning_rate", "num_train_epochs", "max_length"}


def test_a_local_run_on_the_cluster(kubeflow: Kubeflow, cli: Cli, tmp_path: Path) -> None:
    given = {"dataset": "a/b", "model": "c/d", "dataset_revision": "old", "learning_rate": 1e-3}
    folder = RunFolder.create(tmp_path / "runs", "here", "finetune", given)
    folder.record.chosen = {"num_train_epochs": 10.0, "max_length": 136}
    folder.save()
    code, out, err = cli("rerun", "here", "--dataset", "e/f")
    assert (code, err) == (0, "")
    after = only(kubeflow.runs).runtime_config.parameters
    assert "kept from the repeated run: max_length 136, num_train_epochs 10 " in out
    assert (after["num_train_epochs"], after["max_length"]) == (10.0, 136)
    assert (after["dataset"], after["model"], after["learning_rate"]) == ("e/f", "c/d", 1e-3)
    assert "dataset_revision" not in after  # that was of the other dataset


def test_no_secret_is_sent_or_printed(
    kubeflow: Kubeflow, submit: Submit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubeflow.token = "hunter2"  # noqa: S105
    monkeypatch.setenv("KFP_TOKEN", "hunter2")
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    _, out, err = submit(
        "--secret", "hub/token=HF_TOKEN", dataset="https://me:hunter2@host/a.csv?s=hunter2"
    )
    run = only(kubeflow.runs)
    assert "hunter2" not in out + err
    assert "hunter2" not in json.dumps(run.pipeline_spec)
    (tmp_path / "p.yaml").write_text("env: {AWS_SECRET_ACCESS_KEY: hunter2}\n")
    code, out, err = submit("--platform", "p.yaml")
    assert (code, "hunter2" in out + err) == (2, False)
    assert "which looks like a secret" in err
