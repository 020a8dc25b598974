"""Both pipelines, and what their steps leave, against what KFP's driver and launcher demand."""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kfp import dsl

from kfp_finetune.components import runtime
from kfp_finetune.components.artifacts.optimizer_config import SCHEDULES
from kfp_finetune.pipelines.catalog import PIPELINES
from kfp_finetune.pipelines.parameters import read_spec
from tests.components import COMPONENTS, outputs
from tests.kubeflow_rules import problems_of_output, problems_of_run

HERE = Path(__file__).parent
RECORDINGS = HERE.parent / "cli" / "cluster" / "recordings"
GIVEN = {"dataset": "s3://mlpipeline/data/messages.csv", "model": "/opt/model"}
KINDS = {
    "STRING": "",
    "NUMBER_INTEGER": 3,
    "NUMBER_DOUBLE": 0.5,
    "BOOLEAN": True,
}


def spec_of(pipeline: str) -> dict[str, Any]:
    return read_spec(PIPELINES[pipeline].definition)


def recorded(name: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The pipeline, the parameters and the end of a run on a real Kubeflow."""
    with gzip.open(RECORDINGS / f"{name}.json.gz") as file:
        run = json.load(file)["v2beta1"]
    spec = run["pipeline_spec"]
    return spec.get("pipeline_spec", spec), run["runtime_config"]["parameters"], run["state"]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_cluster_takes_data_and_model_alone(pipeline: str) -> None:
    assert problems_of_run(spec_of(pipeline), GIVEN) == []


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_cluster_takes_whatever_its_form_posts(pipeline: str) -> None:
    """Fields that were touched are "", others their defaults."""
    declared = spec_of(pipeline)["root"]["inputDefinitions"]["parameters"]
    posted = {n: how.get("defaultValue", "x") for n, how in declared.items()}
    assert problems_of_run(spec_of(pipeline), posted) == []
    free = {n for n, how in declared.items() if not how.get("literals")}
    touched = {n: "" if isinstance(v, str) and n in free else v for n, v in posted.items()}
    assert problems_of_run(spec_of(pipeline), touched) == []


@pytest.mark.parametrize("name", ["succeeded", "comparison", "rerun", "cached"])
def test_runs_that_succeeded_on_a_cluster_pass(name: str) -> None:
    spec, parameters, state = recorded(name)
    assert state == "SUCCEEDED"
    assert problems_of_run(spec, parameters) == []


def test_version_0_1_0s_comparison_fails_as_it_did_on_a_cluster() -> None:
    spec, parameters, state = recorded("comparison_missing_parameter")
    assert state == "FAILED"
    found = problems_of_run(spec, parameters)
    for name in ("early_stopping_patience", "model_revision", "max_steps"):
        said = f"parent DAG does not have input parameter pipelinechannel--{name}"
        assert any(problem.endswith(said) for problem in found), name


def test_version_0_1_0s_build_optimizer_fails_as_it_did_on_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    exec((HERE / "recordings" / "build_optimizer_0.1.0.txt").read_text(), names)  # noqa: S102
    made = outputs(COMPONENTS["build_optimizer"], tmp_path)
    monkeypatch.setattr(runtime, "step", lambda *_: contextlib.nullcontext())
    names["build_optimizer"](939, **made)
    spec, _, state = recorded("null_metadata")
    assert state == "FAILED"
    component = spec["components"]["comp-build-optimizer"]
    (problem,) = problems_of_output(component, *left(made, {}))
    assert problem == (
        "optimizer_config.max_grad_norm: unknown/unsupported value type *structpb.Value_NullValue"
    )


def left(made: dict[str, dsl.Artifact], values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The arguments and the result of KFP's executor for artifacts that a component has filled."""
    uris = {n: {"artifacts": [{"uri": a.uri}]} for n, a in made.items()}
    written = {n: {"artifacts": [{"uri": a.uri, "metadata": a.metadata}]} for n, a in made.items()}
    text = json.dumps({"parameterValues": values, "artifacts": written})
    return {"outputs": {"artifacts": uris}}, text


# One that every schedule can take, beside those that are its own.
SETTINGS = st.fixed_dictionaries(
    {
        "learning_rate": st.floats(1e-30, 1e30),
        "lr_scheduler_type": st.sampled_from([s for s in SCHEDULES if s != "piecewise_constant"]),
        "warmup_ratio": st.floats(0, 0.5),
        "adam_epsilon": st.floats(1e-30, 1.0),
        "max_grad_norm": st.just(0.0) | st.floats(1e-20, 1e20),
    }
)


@settings(max_examples=25, deadline=None)
@given(parameters=SETTINGS)
def test_build_optimizer_writes_outputs_that_the_launcher_keeps(
    parameters: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = outputs(COMPONENTS["build_optimizer"], tmp_path_factory.mktemp("built"))
    rate, uris = COMPONENTS["build_optimizer"].python_func(50, **made, **parameters)
    component = spec_of("finetune")["components"]["comp-build-optimizer"]
    assert (
        problems_of_output(component, *left(made, {"learning_rate": rate, "artifact_uris": uris}))
        == []
    )


def test_every_step_writes_outputs_that_the_launcher_keeps(readme_run: Path) -> None:
    components = spec_of("finetune")["components"]
    steps = {path.parent.name: path for path in readme_run.glob("*/executor_output.json")}
    assert steps.keys() == {"load-data", "count-steps", "build-optimizer", "finetune", "evaluate"}
    for name, path in steps.items():
        component = components[f"comp-{name}"]
        declared = component["outputDefinitions"].get("artifacts", {})
        uris = {n: {"artifacts": [{"uri": str(path.parent / n)}]} for n in declared}
        assert (
            problems_of_output(component, {"outputs": {"artifacts": uris}}, path.read_text()) == []
        )


# A violation of each rule, made from a valid run, and its message.
Break = Callable[[dict[str, Any], dict[str, Any]], None]


def _loop(spec: dict[str, Any]) -> dict[str, Any]:
    task: dict[str, Any] = spec["root"]["dag"]["tasks"]["for-loop-1"]
    return task


def _set(path: str, value: Any) -> Break:
    def change(spec: dict[str, Any], _: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for name in parents:
            spec = spec[name]
        if value is None:
            del spec[last]
        else:
            spec[last] = value

    return change


def _give(name: str, value: Any) -> Break:
    return lambda _, parameters: parameters.update({name: value})


IN_LOOP = "components/comp-for-loop-1/dag/tasks"
BREAKS: list[tuple[Break, str]] = [
    (_set("schemaVersion", "2.0.0"), "schemaVersion"),
    (_set("pipelineInfo/name", "???"), "is no name"),
    (lambda _, parameters: parameters.pop("model"), "parameter model is required"),
    (_give("max_steps", "3"), "parameter max_steps is '3'"),
    (_give("max_steps", None), "parameter max_steps is None"),
    (_give("optimizer_of_old", 1), "parameter optimizer_of_old is not declared"),
    (_give("text_column", "{{workflow.name}}"), "which Argo replaces"),
    (_give("precision", "float8"), "none of its literals"),
    (_set("deploymentSpec/executors/exec-rank", {"resolver": {}}), "its executor is no container"),
    (_set(f"{IN_LOOP}/finetune/artifactIterator", {}), "artifact iterators"),
    (_set("components/comp-rank/description", "x" * 2**17), "above 128 KiB"),
    (_set("root/dag/tasks/for-loop-1/inputs/parameters/pipelinechannel--max_steps", None),
     "pipelinechannel--max_steps is not optional and has no value"),
    (lambda spec, _: (spec["root"]["inputDefinitions"]["parameters"].update(
        max_steps={"parameterType": "NUMBER_INTEGER", "isOptional": True})),
     "the resolved input pipelinechannel--max_steps is null"),
    (_give("candidates", [{"seed": 1}]), "the item has no"),
    (_give("candidates", ["linear"]), "the item 'linear' is no object"),
    (_set(f"{IN_LOOP}/build-optimizer/inputs/parameters/num_cycles",
          {"runtimeValue": {"constant": "2"}}), "expect NUMBER_INTEGER, got string"),
    (_set(f"{IN_LOOP}/evaluate/inputs/artifacts/model",
          {"taskOutputArtifact": {"producerTask": "load-data", "outputArtifactKey": "model"}}),
     "producer task load-data is not in this graph"),
    (_set("root/dag/tasks/for-loop-1/inputs/artifacts", {}), "does not have input artifact"),
    (_set("components/comp-for-loop-1/dag/outputs/artifacts", {}), "has no output artifact"),
    (_set("components/comp-for-loop-1/dag/outputs/parameters", {}), "has no output parameter"),
    (_set("root/dag/tasks/for-loop-1/triggerPolicy",
          {"condition": "inputs.parameter_values['gone'] == 1"}), "the condition names gone"),
    (_set("root/dag/tasks/for-loop-1/parameterIterator/items", {"inputParameter": "gone"}),
     "is not a list"),
    (_set("deploymentSpec/executors/exec-rank/container/args",
          ["{{$.inputs.parameters['gone']}}"]), "the command names gone"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), BREAKS, ids=[said for _, said in BREAKS])
def test_each_rule_finds_its_violation(change: Break, said: str) -> None:
    spec, parameters = copy.deepcopy(spec_of("compare_schedules")), dict(GIVEN)
    change(spec, parameters)
    assert any(said in problem for problem in problems_of_run(spec, parameters))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unknown": 1}, "unknown fields ['unknown']"),
        ({"parameterValues": {}}, "output parameter artifact_uris is missing"),
        ({"parameterValues": {"artifact_uris": "x"}}, "output parameter artifact_uris is 'x'"),
        ({"artifacts": {"gone": {"artifacts": [{"uri": "x"}]}}}, "artifact gone is not declared"),
        (
            {"artifacts": {"report": {"artifacts": [{"uri": "s3://x"}]}}},
            "the URI of report has changed",
        ),
    ],
)
def test_each_rule_of_outputs_finds_its_violation(change: dict[str, Any], said: str) -> None:
    component = spec_of("finetune")["components"]["comp-evaluate"]
    called, text = left({"report": dsl.HTML(uri="/r")}, {"artifact_uris": {}, "verdict": {}})
    assert problems_of_output(component, called, text) == []
    assert said in problems_of_output(component, called, json.dumps(json.loads(text) | change))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_found(number: str) -> None:
    text = f'{{"parameterValues": {{"artifact_uris": {{"a": {number}}}}}}}'
    component = spec_of("finetune")["components"]["comp-evaluate"]
    (problem,) = problems_of_output(component, {}, text)
    assert number in problem
