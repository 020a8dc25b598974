"""artifacts.json: where all artifacts of a run are, whoever made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfp_finetune.components.record_artifacts.component import record_artifacts
from kfp_finetune.components.runtime import parse_line
from kfp_finetune.components.version import VERSION
from kfp_finetune.pipelines.catalog import PIPELINES
from tests.components import COMPONENTS, outputs


def spec_of(pipeline: str) -> dict[str, Any]:
    spec: dict[str, Any] = next(
        iter(yaml.safe_load_all(PIPELINES[pipeline].definition.read_text()))
    )
    return spec


def recorded(folder: Path, **arguments: Any) -> dict[str, Any]:
    made = outputs(record_artifacts, folder)
    record_artifacts.python_func(**arguments, **made)
    document: dict[str, Any] = json.loads(Path(made["artifacts"].path).read_text())
    return document


def test_a_run_is_one_object_per_step(tmp_path: Path) -> None:
    found = recorded(
        tmp_path, pipeline="finetune", load_data={"data_report": "s3://a/b"}, finetune={}
    )
    assert found == {
        "schema_version": 1,
        "version": VERSION,
        "pipeline": "finetune",
        "steps": {"load_data": {"data_report": "s3://a/b"}},
    }


def test_a_comparison_is_one_list_per_step_with_its_items(tmp_path: Path) -> None:
    items = [{"name": "linear", "seed": 1.0}, {"name": "cosine", "seed": 1.0}]
    found = recorded(
        tmp_path,
        pipeline="compare_schedules",
        rank={"report": "s3://r"},
        candidates=items,
        candidates_finetune=[{"model": "s3://0"}, {"model": "s3://1"}],
    )
    assert found["steps"] == {
        "rank": {"report": "s3://r"},
        "finetune": [
            {"item": items[0], "artifacts": {"model": "s3://0"}},
            {"item": items[1], "artifacts": {"model": "s3://1"}},
        ],
    }


def test_the_verdict_is_printed_for_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = {"kind": "healthy", "finding": "Healthy: ..."}
    recorded(tmp_path, pipeline="finetune", verdict=verdict)
    _, fields = parse_line(capsys.readouterr().out.strip()) or ("", {})
    assert (fields["event"], fields["verdict"]) == ("verdict", verdict)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_step_that_writes_artifacts_is_recorded_and_the_step_is_never_cached(
    pipeline: str,
) -> None:
    spec = spec_of(pipeline)
    task = spec["root"]["dag"]["tasks"]["record-artifacts"]
    assert task["cachingOptions"] == {}
    given = {name.removeprefix("candidates_") for name in task["inputs"]["parameters"]}
    assert {
        name.removeprefix("comp-").replace("-", "_")
        for name, component in spec["components"].items()
        if component.get("outputDefinitions", {}).get("artifacts") and "dag" not in component
    } - {"record_artifacts"} <= given
    for name, component in spec["components"].items():
        declared = component.get("outputDefinitions", {})
        if declared.get("artifacts") and "dag" not in component and name != "comp-record-artifacts":
            assert "artifact_uris" in declared["parameters"], name


def test_every_uri_of_a_real_run_is_returned(readme_run: Path) -> None:
    for name in ("load-data", "build-optimizer", "finetune", "evaluate"):
        step = json.loads((readme_run / name / "executor_output.json").read_text())
        component = COMPONENTS[name.replace("-", "_")].component_spec.outputs
        artifacts = {n for n, output in component.items() if output.type.startswith("system.")}
        assert step["parameterValues"]["artifact_uris"] == {
            output: str(readme_run / name / output) for output in artifacts
        }


LOOP = """
from typing import NamedTuple
from kfp import dsl, local
from kfp_finetune.components.record_artifacts.component import record_artifacts


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def train(item: dict) -> NamedTuple("Uris", [("artifact_uris", dict)]):
    return ({"model": "s3://" + item["name"]},)


@dsl.pipeline(name="loop")
def loop(candidates: list):
    with dsl.ParallelFor(candidates, parallelism=1) as item:
        trained = train(item=item)
    record_artifacts(
        pipeline="loop",
        candidates=candidates,
        candidates_finetune=dsl.Collected(trained.outputs["artifact_uris"]),
    ).set_caching_options(False)


if __name__ == "__main__":
    local.init(local.SubprocessRunner(use_venv=False))
    loop(candidates=[{"name": "linear"}, {"name": "cosine"}])
"""


def test_outputs_of_a_loop_are_collected_in_kfps_local_runner(tmp_path: Path) -> None:
    from tests.pipelines.conftest import run_in_kfp

    run_in_kfp(tmp_path, LOOP)
    (file,) = (tmp_path / "local_outputs").glob("loop-*/record-artifacts/artifacts")
    turns = json.loads(file.read_text())["steps"]["finetune"]
    assert {turn["item"]["name"]: turn["artifacts"]["model"] for turn in turns} == {
        "linear": "s3://linear", "cosine": "s3://cosine"
    }  # fmt: skip
