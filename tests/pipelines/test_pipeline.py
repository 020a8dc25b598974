"""The pipeline as it is written, as it is compiled, and as its parts are used by others."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import compiler
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from kfp_finetune.cli.pipeline.choices import CHOICES
from kfp_finetune.cli.pipeline.compilation import compiled as compile_text
from kfp_finetune.components.build_optimizer.component import build_optimizer
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.evaluate.component import evaluate
from kfp_finetune.components.finetune.component import finetune as finetune_model
from kfp_finetune.components.load_data.component import count_steps, load_data
from kfp_finetune.components.not_given import is_given
from kfp_finetune.components.tasks.registry import TASKS
from kfp_finetune.pipelines.catalog import PIPELINES, Pipeline
from kfp_finetune.pipelines.checks import check_settings
from kfp_finetune.pipelines.finetune.pipeline import finetune
from kfp_finetune.pipelines.parameters import defaults
from tests.pipelines.conftest import run_in_kfp

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "pipelines" / "finetune"
COMPONENTS = [load_data, count_steps, build_optimizer, finetune_model, evaluate]


def compiled(pipeline: Any, path: Path) -> dict[str, Any]:
    compiler.Compiler().compile(pipeline, str(path))
    spec: dict[str, Any] = yaml.safe_load(path.read_text())
    return spec


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_the_committed_yaml_equals_the_compiled_source(pipeline: Pipeline) -> None:
    assert compile_text(pipeline) == pipeline.definition.read_text(), "run make pipeline"


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_the_form_offers_every_word_that_a_parameter_may_be(pipeline: Pipeline) -> None:
    """As the server reads them; of nothing else, since it refuses other values."""
    (document, *_) = yaml.safe_load_all(pipeline.definition.read_text())
    spec = json_format.ParseDict(document, PipelineSpec())
    offered = {
        name: tuple(value.string_value for value in how.literals)
        for name, how in spec.root.input_definitions.parameters.items()
        if how.literals
    }
    assert offered == {name: CHOICES[name] for name in offered}
    assert len(offered) >= 6
    for name, how in spec.root.input_definitions.parameters.items():
        assert name not in offered or how.default_value.string_value in offered[name]


def task_with(word: str) -> str:
    """The first task that has this word among its own."""
    own = {
        t.name: (*t.on_bad_row, *(kind.name for kind in t.problem_types)) for t in TASKS.values()
    }
    return next((name for name, words in own.items() if word in words), "text-classification")


@pytest.mark.parametrize("name", CHOICES)
def test_every_word_is_one_that_is_checked(name: str) -> None:
    settings = defaults(PIPELINES["finetune"].definition)
    for word in (*CHOICES[name], "no-such-word"):
        boundaries = "0.5:1e-5" if word == "piecewise_constant" else None
        said = ""
        given = settings | {"task": task_with(word), "lr_boundaries": boundaries, name: word}
        try:
            check_settings("finetune", given)
        except InputError as error:
            said = str(error)
        assert bool(said) == (word == "no-such-word"), said


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
                declared = of_pipeline[name].default
                own = declared if is_given(name, declared) else parameter.default
                assert own == parameter.default, name
                assert is_given(name, declared) or parameter.default in (None, ""), name


def test_every_step_runs_in_the_one_image_and_installs_nothing() -> None:
    spec = yaml.safe_load((FOLDER / "pipeline.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == 6
    for executor in executors.values():
        assert executor["container"]["image"] == f"kfp-finetune:{version}"
        assert "pip install" not in " ".join(executor["container"]["command"])


def test_the_example_in_the_readme_runs_as_printed(readme_run: Path) -> None:
    assert json.loads((readme_run / "evaluate" / "metrics_json").read_text())["split"] == "test"


def test_components_run_alone(tmp_path: Path) -> None:
    out = run_in_kfp(
        tmp_path,
        """
from kfp import local
from kfp_finetune.components.build_optimizer.component import build_optimizer
from kfp_finetune.components.load_data.component import count_steps, load_data

local.init(local.SubprocessRunner(use_venv=False))
sample = "pipelines/finetune/sample"
data = load_data(dataset=f"{sample}/messages.csv", model=f"{sample}/model", max_length=64)
steps = count_steps(num_train_examples=data.outputs["num_train_examples"])
build_optimizer(num_train_steps=steps.outputs["num_train_steps"])
print("steps:", steps.outputs["num_train_steps"])
""",
    )
    assert re.search(r"^steps: \d+$", out, re.MULTILINE)
