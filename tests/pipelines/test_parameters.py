"""A parameter is described once: components, both pipelines and help agree."""

from __future__ import annotations

from typing import Any

import pytest

from kfp_finetune.cli.pipeline.choices import CHOICES
from kfp_finetune.pipelines import parameters
from kfp_finetune.pipelines.catalog import PIPELINES

FINETUNE = PIPELINES["finetune"].definition
COMPARISON = PIPELINES["compare_schedules"].definition
# Where a component or a pipeline has its own meaning of a parameter.
OWN = {
    "load_data": {"model", "dataset_fingerprint", "model_fingerprint"},
    "finetune": {"seed", "model_fingerprint", "num_train_epochs"},
    "evaluate": {"precision"},
    "compare_schedules": {"seed", "checkpoint_dir", "checkpoints_to_keep"},
}


def of_component(step: str) -> dict[str, Any]:
    spec = parameters.read_spec(FINETUNE)
    component = spec["components"]["comp-" + step.replace("_", "-")]
    found: dict[str, Any] = component["inputDefinitions"]["parameters"]
    return found


def facts(declared: dict[str, Any]) -> list[Any]:
    """Type, default and description, as the compiled pipeline has them."""
    kind, default = declared["parameterType"], declared.get("defaultValue")
    description = " ".join(declared["description"].split())
    return [kind, default, description.replace(" optimizer step", " step")]


def of_pipeline(definition: Any) -> dict[str, Any]:
    found: dict[str, Any] = parameters.read_spec(definition)["root"]["inputDefinitions"]
    return dict(found["parameters"])


@pytest.mark.parametrize(
    "step", ["load_data", "count_steps", "build_optimizer", "finetune", "evaluate"]
)
def test_a_component_declares_its_parameters_as_the_pipeline_does(step: str) -> None:
    pipeline = of_pipeline(FINETUNE)
    shared = of_component(step).keys() & pipeline.keys() - OWN.get(step, set())
    assert shared
    for name in shared:
        assert facts(of_component(step)[name]) == facts(pipeline[name]), name


def test_both_pipelines_declare_a_parameter_alike() -> None:
    one, other = of_pipeline(FINETUNE), of_pipeline(COMPARISON)
    for name in one.keys() & other.keys() - OWN["compare_schedules"]:
        assert facts(one[name]) == facts(other[name]), name


def test_every_parameter_has_a_group_and_the_most_used_exist() -> None:
    known = {p.name: p for p in parameters.load(FINETUNE)}
    assert set(parameters.MOST_USED) <= known.keys()
    titles = {parameters.MOST_USED_TITLE, *parameters.GROUPS.values()}
    assert {p.group for p in known.values()} == titles


def test_help_lists_the_choices_of_a_parameter() -> None:
    known = {p.name: p for p in parameters.load(FINETUNE)}
    for name, words in CHOICES.items():
        assert known[name].choices == words
        for word in words:
            assert word in known[name].description or "|".join(words) in name_of_value(name), name


def name_of_value(name: str) -> str:
    """The text that help shows for the value of an option."""
    from typer.main import get_command

    from kfp_finetune.cli.main import app

    command = get_command(app).commands["run"]  # type: ignore[attr-defined]
    return str(next(p for p in command.params if p.name == name).metavar)
