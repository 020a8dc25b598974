"""An empty field in KFP's form means "not given" in every component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import tokenized_dataset as data_artifact
from kfp_finetune.components.chosen import CHOSEN
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.not_given import ZERO_IS_NOT_GIVEN, is_given
from kfp_finetune.pipelines.catalog import PIPELINES
from kfp_finetune.pipelines.checks import check_settings
from kfp_finetune.pipelines.parameters import complete, load
from tests import tiny
from tests.components import COMPONENTS, outputs, parameters

REQUIRED = {
    "load_data": {"dataset", "model"},
    "count_steps": {"num_train_examples"},
    "build_optimizer": {"num_train_steps"},
    "finetune": {"base_model"},
    "evaluate": set(),
    "rank": {"candidates"},
    "record_artifacts": {"pipeline"},
}


def empty(name: str) -> dict[str, Any]:
    """Every parameter of a component that can be left out, as a touched form posts it."""
    return {
        n: "" if p.annotation is str else 0
        for n, p in parameters(COMPONENTS[name]).items()
        if n not in REQUIRED[name] and (p.annotation is str or n in ZERO_IS_NOT_GIVEN)
    }


@pytest.mark.parametrize("name", COMPONENTS)
def test_everything_but_data_and_model_has_a_default(name: str) -> None:
    without = {n for n, p in parameters(COMPONENTS[name]).items() if p.default is p.empty}
    assert without == REQUIRED[name]


@pytest.mark.parametrize("name", PIPELINES)
def test_the_form_can_be_started_with_data_and_model_alone(name: str) -> None:
    assert {p.name for p in load(PIPELINES[name].definition) if p.required} == {"dataset", "model"}


def test_numbers_whose_0_means_not_given_have_it_as_their_default() -> None:
    for component in COMPONENTS.values():
        for name, parameter in parameters(component).items():
            if name in ZERO_IS_NOT_GIVEN:
                assert parameter.default == 0
                assert "0: " in component.component_spec.inputs[name].description


@pytest.fixture(scope="module")
def csv_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_csv(tmp_path_factory.mktemp("rows") / "rows.csv", tiny.rows(30))


def loaded(folder: Path, dataset: Path, model: Path, **values: Any) -> dict[str, Any]:
    component = COMPONENTS["load_data"]
    made = outputs(component, folder)
    component.python_func(str(dataset), str(model), **made, **values)
    return data_artifact.read(folder / "tokenized_dataset").model_dump()


@pytest.fixture(scope="module")
def without_any(
    csv_file: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    return loaded(tmp_path_factory.mktemp("loaded"), csv_file, tiny_model)


@pytest.mark.parametrize("parameter", empty("load_data"))
def test_load_data_treats_empty_values_as_not_given(
    parameter: str,
    csv_file: Path,
    tiny_model: Path,
    tmp_path: Path,
    without_any: dict[str, Any],
) -> None:
    value = {parameter: empty("load_data")[parameter]}
    assert loaded(tmp_path, csv_file, tiny_model, **value) == without_any


def test_count_steps_treats_empty_values_as_not_given() -> None:
    count = COMPONENTS["count_steps"].python_func
    assert empty("count_steps") == {"max_steps": 0, "num_train_epochs": 0}
    assert count(103, max_steps=0, num_train_epochs=0) == count(103)
    assert count(103, max_steps=1)[1] == 1


@pytest.mark.parametrize("parameter", empty("build_optimizer"))
def test_build_optimizer_treats_empty_values_as_not_given(parameter: str, tmp_path: Path) -> None:
    component = COMPONENTS["build_optimizer"]
    value = {parameter: empty("build_optimizer")[parameter]}
    written = []
    for folder, given in ((tmp_path / "with", value), (tmp_path / "without", {})):
        component.python_func(100, **outputs(component, folder), **given)
        written.append((folder / "optimizer_config" / "optimizer.json").read_bytes())
    assert written[0] == written[1]


def test_finetune_treats_empty_values_as_not_given(
    tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    from kfp import dsl

    build, component = COMPONENTS["build_optimizer"], COMPONENTS["finetune"]
    built = outputs(build, tmp_path / "built")
    build.python_func(2, **built)
    assert len(empty("finetune")) >= 11
    component.python_func(
        dsl.Dataset(uri=str(tiny_data)),
        built["optimizer_config"],
        str(tiny_model),
        **outputs(component, tmp_path),
        **{"batch_size": 103, **empty("finetune")},
    )
    manifest = model_artifact.read(tmp_path / "model")
    assert manifest.updates_done == manifest.num_train_steps == 2
    assert (manifest.stopped_at, manifest.class_weights) == (None, "none")
    assert {p.name for p in tmp_path.iterdir()} == {
        "built",
        "model",
        "tensorboard_logs",
        "mlpipeline_ui_metadata",
        "training_metrics",
    }  # nothing is saved or copied elsewhere


@pytest.mark.parametrize("name", ["load_data", "finetune"])
def test_an_empty_data_set_or_model_is_refused(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from kfp import dsl

    component = COMPONENTS[name]
    inputs = {n: dsl.Artifact(uri="/nowhere") for n in ("tokenized_dataset", "optimizer_config")}
    with pytest.raises(SystemExit) as end:
        component.python_func(
            **({} if name == "load_data" else inputs),
            **dict.fromkeys(REQUIRED[name], ""),
            **outputs(component, tmp_path),
        )
    assert end.value.code == 2
    missing = {"load_data": "not given: dataset, model", "finetune": "not given: base_model"}
    assert missing[name] in capfd.readouterr().out


@pytest.mark.parametrize("name", sorted(ZERO_IS_NOT_GIVEN - set(CHOSEN)))
def test_a_0_that_is_typed_is_refused_before_anything_starts(name: str) -> None:
    finetune = {p.name: p.default for p in load(PIPELINES["finetune"].definition)}
    assert finetune[name] is None
    check_settings("finetune", finetune)
    with pytest.raises(InputError) as error:
        check_settings("finetune", finetune | {name: 0})
    assert error.value.found == f"{name} is 0"
    flag = f"--{name.replace('_', '-')}"
    assert error.value.remedy.startswith((f"omit {flag}", f"{flag} 128"))


@pytest.mark.parametrize("name", PIPELINES)
def test_a_0_that_is_typed_for_a_value_that_can_be_chosen_asks_for_the_choice(name: str) -> None:
    known = load(PIPELINES[name].definition)
    asked = [p.name for p in known if p.name in CHOSEN]
    given = {"dataset": "a/b", "model": "c/d"}
    full = complete(known, given | dict.fromkeys(asked, 0))
    assert full == complete(known, given)
    assert asked and all(full[one] is None for one in asked)
    check_settings(name, full)


def test_0_and_false_count_as_given_elsewhere() -> None:
    for name in ("seed", "warmup_steps", "validation_fraction", "jit_compile", "weight_decay"):
        assert is_given(name, 0)
        assert is_given(name, False)
