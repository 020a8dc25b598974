"""Content fingerprints, and the private names of kfp that the local runner replaces."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from kfp_finetune.cli import fingerprints
from kfp_finetune.cli.unset import without

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    for name in ("one.csv", "copy.csv"):
        (tmp_path / name).write_text("a")
    (tmp_path / "two.csv").write_text("b")

    def of(**parameters: str) -> str:
        return fingerprints.of_dataset({k: str(tmp_path / v) for k, v in parameters.items()})

    assert of(dataset="one.csv") == of(dataset="copy.csv")
    different = [
        of(dataset="one.csv"),
        of(dataset="two.csv"),
        of(dataset="one.csv", test_dataset="two.csv"),
        of(dataset="one.csv", validation_dataset="two.csv"),
        of(dataset="two.csv", test_dataset="one.csv"),
    ]
    assert len(set(different)) == 5 and all(different)
    assert of(dataset="one.csv", test_dataset="gone.csv") == ""


def test_a_folder_is_told_by_names_and_contents(tmp_path: Path) -> None:
    def of(files: dict[str, str]) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return fingerprints.of_model({"model": str(folder)})

    same = of({"a": "1", "b/c": "2"})
    assert same == of({"b/c": "2", "a": "1"}) == of({"a": "1", "b/c": "2", ".git/x": "3"})
    assert len({same, of({"a": "1", "b/d": "2"}), of({"a": "12", "b/c": ""})}) == 3


def test_a_hub_id_is_told_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert fingerprints.of_model({"model": "owner/name"}) == ""
    reference = tmp_path / "models--owner--name" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text(COMMIT)
    assert fingerprints.of_model({"model": "owner/name"}) == COMMIT
    assert fingerprints.of_model({"model": "owner/name", "model_revision": "v2"}) == ""
    assert fingerprints.of_model({"model": "owner/name", "model_revision": COMMIT}) == COMMIT
    assert fingerprints.of_dataset({"dataset": "owner/name"}) == ""


@pytest.mark.parametrize("source", ["gone.csv", "./gone", "s3://bucket/a.csv", ""])
def test_what_is_not_there_has_no_fingerprint(source: str) -> None:
    assert fingerprints.of_dataset({"dataset": source}) == ""


def test_the_names_of_kfp_that_are_replaced_are_still_asked_for() -> None:
    from kfp.local import (
        cache,
        executor_input_utils,
        pipeline_orchestrator,
        subprocess_task_handler,
        task_dispatcher,
    )
    from kfp.local.orchestrator import task_executor

    from kfp_finetune.cli.local_cache import StepCache

    for name in ("compute_key", "get", "put"):
        theirs = inspect.signature(getattr(cache.LocalCache, name))
        ours = inspect.signature(getattr(StepCache, name))
        assert list(theirs.parameters) == list(ours.parameters)
    assert "cache_module.get_local_cache()" in inspect.getsource(task_executor)
    assert "executor_input_utils.get_local_pipeline_resource_name(" in inspect.getsource(
        pipeline_orchestrator
    )
    assert "executor_input_utils.get_local_task_resource_name(" in inspect.getsource(
        task_dispatcher
    )
    assert callable(executor_input_utils.get_local_task_resource_name)
    assert " replace_python_executable(" in inspect.getsource(subprocess_task_handler)


def test_an_unset_parameter_is_taken_out_of_nested_graphs_too() -> None:
    def task(component: str, **arguments: str) -> dict[str, object]:
        return {
            "componentRef": {"name": component},
            "inputs": {
                "parameters": {k: {"componentInputParameter": v} for k, v in arguments.items()}
            },
        }

    def declare(*names: str) -> dict[str, object]:
        return {"parameters": {name: {"parameterType": "STRING"} for name in names}}

    spec = {
        "root": {
            "inputDefinitions": declare("set", "unset"),
            "dag": {"tasks": {"loop": task("comp-loop", inner="unset", other="set")}},
        },
        "components": {
            "comp-loop": {
                "inputDefinitions": declare("inner", "other"),
                "dag": {"tasks": {"leaf": task("comp-leaf", x="inner", y="other")}},
            },
            "comp-leaf": {"inputDefinitions": declare("x", "y")},
        },
    }
    found = without(spec, {"unset"})
    assert list(found["root"]["inputDefinitions"]["parameters"]) == ["set"]
    loop = found["components"]["comp-loop"]
    assert list(loop["inputDefinitions"]["parameters"]) == ["other"]
    assert list(loop["dag"]["tasks"]["leaf"]["inputs"]["parameters"]) == ["y"]
    leaf = found["components"]["comp-leaf"]["inputDefinitions"]["parameters"]
    assert list(leaf) == ["y"]
    assert "unset" in spec["root"]["inputDefinitions"]["parameters"]  # a copy was changed


def test_a_pattern_and_the_file_of_label_names_are_part_of_the_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name},x\n")
    (tmp_path / "labels.txt").write_text("x\ny\n")
    parameters = {"dataset": f"{tmp_path}/*.csv", "label_names": str(tmp_path / "labels.txt")}
    seen = {fingerprints.of_dataset(parameters)}
    (tmp_path / "b.csv").write_text("text,label\nc,x\n")
    seen.add(fingerprints.of_dataset(parameters))
    (tmp_path / "labels.txt").write_text("y\nx\n")
    seen.add(fingerprints.of_dataset(parameters))
    (tmp_path / "c.csv").write_text("text,label\nc,x\n")
    seen.add(fingerprints.of_dataset(parameters))
    assert len(seen) == 4
    assert "" not in seen
