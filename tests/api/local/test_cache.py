"""The local cache: what is taken over, what is not, and that runs stay whole by themselves."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from kfp_finetune.local import environment
from kfp_finetune.local.cache import StepCache
from kfp_finetune.local.containers import Image
from tests.servers import Web
from tests.toy.command import Cli


def test_only_affected_steps_run_again(cli: Cli) -> None:
    assert cli.run("--name", "first")[0] == 0
    code, out, _ = cli.run("--name", "second", "--learning-rate", "1e-3")
    assert code == 0
    assert cli.cached("second") == {
        "load_data": True,
        "count_steps": True,
        "build_optimizer": False,
        "finetune": False,
        "evaluate": False,
    }
    assert "load_data: cached, from first\n" in out
    assert "load_data: started" not in out
    assert "plan                 3 ÷ 2 = 2\n" in out  # said again, though count_steps did not run
    assert "count_steps: 3 ÷ 2 = 2 (in run first)\n" in out  # and whose words they are
    assert cli.record("second")["steps"]["load_data"]["cached_from"] == "first"
    log = (cli.folder / "runs" / "second" / "run.log").read_text()
    assert "Looking for component `load_data`" not in log  # its process was not started

    # The runs do not need one another: the first is deleted, the second moved.
    shutil.rmtree(cli.folder / "runs" / "first")
    moved = cli.folder / "elsewhere"
    (cli.folder / "runs" / "second").rename(moved)
    record = json.loads((moved / "run.json").read_text())
    for path in record["artifacts"].values():
        assert (moved / path).exists()
    rows = moved / record["artifacts"]["tokenized_dataset"] / "deep" / "rows.txt"
    assert rows.read_text() == "one\ntwo\nthree"
    assert cli.run("--name", "third")[0] == 0
    assert set(cli.cached("third").values()) == {True}
    assert cli.record("third")["metrics"] == {"accuracy": 0.75, "loss": 0.5}
    assert (cli.folder / "runs" / "third" / "report.html").exists()

    # New content behind an old name is new data.
    (cli.folder / "data.csv").write_text("one\ntwo\nfour\n")
    assert cli.run("--name", "fourth")[0] == 0
    assert cli.cached("fourth")["load_data"] is False
    assert cli.cached("fourth")["count_steps"] is True  # as many rows


def test_data_behind_a_uri_is_cached_for_as_long_as_it_is_the_same(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with Web.serve() as (host, server):
        server.files["/data.csv"] = b"one\ntwo\n"

        def run(name: str) -> tuple[bool, str]:
            uri = f"http://{host}/data.csv"
            code, out, err = cli("run", "--dataset", uri, "--model", "model.bin", "--name", name)
            assert (code, err) == (0, "")
            return cli.cached(name)["load_data"], out

        cached, out = run("first")
        assert not cached
        assert f"downloading http://{host}/data.csv to hash it: the server sends no" in out
        assert run("second")[0]
        server.files["/data.csv"] = b"one\nsix\n"
        assert not run("third")[0]


def test_without_the_cache_nothing_is_read_or_kept(cli: Cli) -> None:
    assert cli.run("--name", "first", "--no-cache")[0] == 0
    assert not (cli.folder / "runs" / ".cache").exists()
    assert cli.run("--name", "second")[0] == 0
    assert set(cli.cached("second").values()) == {False}
    assert cli.run("--name", "third", "--no-cache")[0] == 0
    assert set(cli.cached("third").values()) == {False}


def test_data_of_unknown_content_is_not_cached(cli: Cli) -> None:
    code, out, _ = cli("run", "--dataset", "data.csv", "--model", "no/such-model")
    assert code == 1  # the toy cannot read it
    assert "not cached: changes of the data or the model cannot be detected" in out
    assert not (cli.folder / "runs" / ".cache").exists()


Task = dict[str, Any]


def run_step(cache: StepCache, task: Task, folder: Path, text: str) -> tuple[bool, dsl.Dataset]:
    """KFP's calls of a cache for a step that writes one folder."""
    key = cache.compute_key(**task)
    outputs = cache.get(key)
    if outputs is not None:
        return True, outputs["out"]
    path = folder / "load_data" / "out"
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "a.txt").write_text(text)
    artifact = dsl.Dataset(name="out", uri=str(path), metadata={"rows": 3})
    cache.put(key, {"out": artifact, "count": 3})
    return False, artifact


def task(**arguments: Any) -> Task:
    return {
        "component_name": "comp-load-data",
        "image": "i",
        "full_command": ["c"],
        "arguments": arguments,
        "env_vars": {},
        "custom_cache_key": None,
    }


def make(tmp_path: Path, name: str) -> tuple[StepCache, Path]:
    folder = tmp_path / name / "steps"
    return StepCache(folder, name, tmp_path / "cache", lambda _: []), folder


def test_a_key_depends_on_the_inputs_and_not_on_the_run(tmp_path: Path) -> None:
    one, one_folder = make(tmp_path, "one")
    two, two_folder = make(tmp_path, "two")
    other, other_folder = make(tmp_path, "other")
    _, made = run_step(one, task(x=1), one_folder, "same")
    hit, taken = run_step(two, task(x=1), two_folder, "same")
    assert hit and taken.uri != made.uri and type(taken) is dsl.Dataset
    assert taken.metadata == {"rows": 3}
    hit, different = run_step(other, task(x=2), other_folder, "same")
    assert not hit
    keys = [
        c.compute_key(**task(data=artifact))
        for c, artifact in ((one, made), (two, taken), (other, different))
    ]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("field", ["image", "full_command", "env_vars"])
def test_a_key_depends_on_everything_that_runs(tmp_path: Path, field: str) -> None:
    cache, _ = make(tmp_path, "one")
    changed = {"image": "j", "full_command": ["d"], "env_vars": {"A": "1"}}
    assert cache.compute_key(**task()) != cache.compute_key(**task() | {field: changed[field]})


def _change_in_place(out: Path) -> None:
    with (out / "sub" / "a.txt").open("r+") as file:
        file.write("S")


def _remove_file(out: Path) -> None:
    (out / "sub" / "a.txt").unlink()


def _add_file(out: Path) -> None:
    (out / "b.txt").write_text("b")


def _cut_entry(out: Path) -> None:
    entry = out.parent / "entry.json"
    entry.write_text(entry.read_text()[:50])


def _remove_entry(out: Path) -> None:
    (out.parent / "entry.json").unlink()


@pytest.mark.parametrize(
    "damage", [_change_in_place, _remove_file, _add_file, _cut_entry, _remove_entry]
)
def test_a_damaged_entry_is_not_used_and_is_replaced(tmp_path: Path, damage: Any) -> None:
    for name, hit in (("one", False), ("two", True)):
        cache, folder = make(tmp_path, name)
        assert run_step(cache, task(), folder, "same")[0] is hit
    (entry,) = (tmp_path / "cache").iterdir()
    damage(entry / "out")
    for name, hit in (("three", False), ("four", True)):
        cache, folder = make(tmp_path, name)
        found, artifact = run_step(cache, task(), folder, "same")
        assert found is hit
        assert Path(artifact.uri, "sub", "a.txt").read_text() == "same"
        assert [p.name for p in Path(artifact.uri).iterdir()] == ["sub"]
    assert [e.name for e in (tmp_path / "cache").iterdir()] == [entry.name]


def test_editing_one_run_changes_no_other(tmp_path: Path) -> None:
    """In place, with the times put back: nothing but the content tells."""
    artifacts = []
    for name in ("one", "two"):
        cache, folder = make(tmp_path, name)
        artifacts.append(run_step(cache, task(), folder, "same")[1])
        file = Path(artifacts[-1].uri, "sub", "a.txt")
        assert file.read_text() == "same" and file.stat().st_nlink == 1
        before = file.stat()
        with file.open("r+") as content:
            content.write("EDIT")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    cache, folder = make(tmp_path, "three")
    hit, taken = run_step(cache, task(), folder, "same")
    assert hit and Path(taken.uri, "sub", "a.txt").read_text() == "same"


@pytest.mark.parametrize("by_link", [False, True])
def test_edited_cache_entries_are_not_served(by_link: bool, tmp_path: Path) -> None:
    cache, folder = make(tmp_path, "one")
    run_step(cache, task(), folder, "same")
    (entry,) = (tmp_path / "cache").iterdir()
    file = entry / "out" / "sub" / "a.txt"
    before = file.stat()
    if by_link:
        os.link(file, tmp_path / "shared")
    with (tmp_path / "shared" if by_link else file).open("r+") as content:
        content.write("EDIT")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    cache, folder = make(tmp_path, "two")
    hit, taken = run_step(cache, task(), folder, "same")
    assert not hit and Path(taken.uri, "sub", "a.txt").read_text() == "same"


def test_an_entry_that_was_only_copied_elsewhere_is_served(tmp_path: Path) -> None:
    """Its times are others, its content is not."""
    cache, folder = make(tmp_path, "one")
    run_step(cache, task(), folder, "same")
    shutil.copytree(tmp_path / "cache", tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "copy").rename(tmp_path / "cache")
    cache, folder = make(tmp_path, "two")
    assert run_step(cache, task(), folder, "same")[0]


def _path_above(entry: dict[str, Any], folder: Path) -> None:
    entry["artifacts"]["out"]["path"] = "../../../stolen"


def _path_of_its_own(entry: dict[str, Any], folder: Path) -> None:
    entry["artifacts"]["out"]["path"] = str(folder / "stolen")


def _file_above(entry: dict[str, Any], folder: Path) -> None:
    files = entry["artifacts"]["out"]["files"]
    files["../../../../secret"] = files.pop("sub/a.txt")


def _artifact_above(entry: dict[str, Any], folder: Path) -> None:
    entry["artifacts"]["../../secret"] = entry["artifacts"].pop("out")


def _no_artifact(entry: dict[str, Any], folder: Path) -> None:
    entry["artifacts"]["out"]["type"] = "pipeline"


@pytest.mark.parametrize(
    "change", [_path_above, _path_of_its_own, _file_above, _artifact_above, _no_artifact]
)
def test_nothing_in_an_entry_leads_elsewhere(change: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("do not read me")
    cache, folder = make(tmp_path, "one")
    run_step(cache, task(), folder, "same")
    (entry,) = (tmp_path / "cache").iterdir()
    content = json.loads((entry / "entry.json").read_text())
    change(content, tmp_path)
    (entry / "entry.json").write_text(json.dumps(content))
    cache, folder = make(tmp_path, "two")
    assert not run_step(cache, task(), folder, "same")[0]
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {"secret", "one", "two", "cache"}
    assert not [f for f in (tmp_path / "two").rglob("*") if "secret" in f.name]


def test_a_link_in_an_entry_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("same")
    cache, folder = make(tmp_path, "one")
    run_step(cache, task(), folder, "same")
    (entry,) = (tmp_path / "cache").iterdir()
    (entry / "out" / "sub" / "a.txt").unlink()
    (entry / "out" / "sub" / "a.txt").symlink_to(tmp_path / "secret")
    cache, folder = make(tmp_path, "two")
    assert not run_step(cache, task(), folder, "same")[0]


VARIABLES = (
    "ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA TF_ENABLE_ONEDNN_OPTS TF_DETERMINISTIC_OPS XLA_FLAGS"
    " OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS KMP_AFFINITY CUDA_VISIBLE_DEVICES"
    " NVIDIA_TF32_OVERRIDE TF_CONFIG"
)


def test_the_cache_folder_is_named_for_runner_and_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def name(image: Image | None = None, precision: str = "auto") -> str:
        return environment.cache_name(image, precision)

    plain = name()
    assert plain == name()
    names = {plain, name(precision="float32")}
    names |= {name(Image("one", id)) for id in ("sha256:1", "sha256:2")}
    assert name(Image("other", "sha256:1")) in names  # the same by another name
    for function, value in (("_sources", "x"), ("available_cpus", 77), ("_processor", ["x"])):
        with monkeypatch.context() as patch:
            patch.setattr(environment, function, lambda value=value: value)
            names.add(name())
    with monkeypatch.context() as patch:
        patch.setattr(environment, "_version", lambda package: "0")
        names.add(name())
    variables = VARIABLES.split()
    for variable in variables:
        with monkeypatch.context() as patch:
            patch.setenv(variable, "77")
            names.add(name())
    with monkeypatch.context() as patch:
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # only what is printed
        assert name() == plain
    assert len(names) == 8 + len(variables)


def test_how_training_is_saved_is_no_part_of_the_key_unless_it_changes_the_result(
    tmp_path: Path,
) -> None:
    cache = StepCache(tmp_path, "run", tmp_path / "cache", lambda _: [])

    def key(**arguments: Any) -> str:
        given = {"learning_rate": 1e-3, "resume_from_checkpoint": "retry"} | arguments
        return cache.compute_key("comp-finetune", "image", ["command"], given)

    assert key(checkpoint_dir="a", checkpoint_every_steps=3) == key(checkpoint_dir="b") == key()
    assert key(resume_from_checkpoint="exact") == key()
    assert key(learning_rate=2e-3) != key()
    # A step that was started with other settings gives no result to others.
    assert len({key(), key(resume_from_checkpoint="any"), key(resume_from_checkpoint="any")}) == 3
