"""The pipeline as it is written, as it is compiled, and as its parts are used by others."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from kfp_finetune.components.build_optimizer.component import build_optimizer
from kfp_finetune.components.evaluate.component import evaluate
from kfp_finetune.components.finetune.component import finetune as finetune_model
from kfp_finetune.components.load_data.component import count_steps, load_data
from kfp_finetune.pipelines.finetune.pipeline import finetune

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "pipelines" / "finetune"
COMPONENTS = [load_data, count_steps, build_optimizer, finetune_model, evaluate]


def compiled(pipeline: Any, path: Path) -> dict[str, Any]:
    compiler.Compiler().compile(pipeline, str(path))
    spec: dict[str, Any] = yaml.safe_load(path.read_text())
    return spec


def test_the_committed_yaml_is_what_the_source_compiles_to(tmp_path: Path) -> None:
    compiled(finetune, tmp_path / "pipeline.yaml")
    assert (tmp_path / "pipeline.yaml").read_text() == (FOLDER / "pipeline.yaml").read_text(), (
        "run make pipeline"
    )


def test_every_parameter_and_artifact_is_described() -> None:
    spec = yaml.safe_load((FOLDER / "pipeline.yaml").read_text())
    definitions = [
        (name, definition, kind)
        for name, part in [("pipeline", spec["root"]), *spec["components"].items()]
        for kind, definition in (
            ("parameters", part.get("inputDefinitions", {}).get("parameters", {})),
            ("artifacts", part.get("inputDefinitions", {}).get("artifacts", {})),
            ("artifacts", part.get("outputDefinitions", {}).get("artifacts", {})),
        )
    ]
    described = {(where, name): d for where, ds, _ in definitions for name, d in ds.items()}
    assert len(described) > 100
    assert [key for key, d in described.items() if not d.get("description")] == []


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.name)
def test_a_step_and_the_pipeline_have_the_same_defaults(component: Any) -> None:
    of_pipeline = inspect.signature(finetune.pipeline_func).parameters
    of_step = inspect.signature(component.python_func).parameters
    for name in of_pipeline.keys() & of_step.keys():
        if "Annotation" not in str(of_step[name].annotation):  # the model that finetune writes
            assert of_step[name].default == of_pipeline[name].default, name
            assert of_step[name].annotation == of_pipeline[name].annotation, name


def test_the_defaults_are_those_of_the_functions_behind_the_steps() -> None:
    from kfp_finetune.components.build_optimizer.parameters import Parameters
    from kfp_finetune.components.load_data import parameters, steps

    of_pipeline = inspect.signature(finetune.pipeline_func).parameters
    for function in (parameters.Parameters, steps.count_steps, Parameters):
        for name, parameter in inspect.signature(function).parameters.items():
            if name in of_pipeline and parameter.default is not inspect.Parameter.empty:
                assert of_pipeline[name].default == parameter.default, name


def test_every_step_runs_in_the_one_image_and_installs_nothing() -> None:
    spec = yaml.safe_load((FOLDER / "pipeline.yaml").read_text())
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == 5
    for executor in executors.values():
        assert executor["container"]["image"] == "kfp-finetune:0.1.0"
        assert "pip install" not in " ".join(executor["container"]["command"])


def test_the_example_in_the_readme_compiles(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "example.py"  # KFP reads the source of what it compiles
    path.write_text(code)
    names: dict[str, Any] = {}
    exec(compile(code, path, "exec", dont_inherit=True), names)  # noqa: S102
    spec = compiled(names["my_schedule"], tmp_path / "example.yaml")
    assert set(spec["root"]["dag"]["tasks"]) == {"count-steps", "build-optimizer"}
