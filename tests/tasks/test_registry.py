"""The registry of tasks: light to import, and the only place that knows a task by name."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.predictions import Prediction, Span
from kfp_finetune.components.tasks.registry import (
    PROBLEM_TYPES,
    TASKS,
    get_problem_type,
    get_task,
    task_of,
)

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "scipy", "pyarrow", "tensorflow", "keras", "transformers", "sklearn")
# The default of the parameter `task`; KFP and the command line read it from these signatures.
WITH_DEFAULT = ("component.py", "pipeline.py", "parameters.py")


def test_the_light_client_checks_the_parameters_of_a_task() -> None:
    code = f"""
import json, sys
sys.modules.update(dict.fromkeys({HEAVY!r}))  # importing one of them raises
from kfp_finetune.pipelines.catalog import PIPELINES
from kfp_finetune.pipelines.parameters import defaults
from kfp_finetune.pipelines.checks import find_problems
given = defaults(PIPELINES["finetune"].definition) | json.loads(sys.argv[1])
print(json.dumps([[p.where, p.remedy] for p in find_problems("finetune", given)]))
"""

    def problems(**parameters: object) -> list[list[str]]:
        command = [sys.executable, "-c", code, json.dumps(parameters)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found: list[list[str]] = json.loads(output)
        return found

    assert problems(
        task="token-classification", text_pair_column="other", problem_type="regression"
    ) == [
        ["problem_type", "--problem-type auto"],
        ["text_pair_column", "omit --text-pair-column"],
    ]
    assert problems(task="token-classification", positive_label="spam", focal_gamma=-1.0) == [
        ["positive_label", "omit --positive-label"],
        ["focal_gamma", "--focal-gamma 2"],
    ]
    assert problems(
        problem_type="regression",
        label_smoothing_factor=0.1,
        class_weights="balanced",
        label_all_tokens=True,
    ) == [
        ["class_weights", "omit --class-weights"],
        ["label_all_tokens", "omit --label-all-tokens"],
        ["label_smoothing_factor", "omit --label-smoothing-factor"],
    ]


@pytest.mark.parametrize("folder", ["cli", "components", "pipelines", "api"])
def test_no_other_module_knows_a_task_or_problem_type_by_name(folder: str) -> None:
    names = {*TASKS, *PROBLEM_TYPES}
    task_folders = [ROOT / "components/tasks" / name.replace("-", "_") for name in TASKS]
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if any(task_folder in path.parents for task_folder in task_folders):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Constant) and node.value in names
            if named and path.name not in WITH_DEFAULT:
                found.append(f"{path}:{node.lineno} {ast.unparse(node)}")
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if any(f"tasks.{task_folder.name}" in module for task_folder in task_folders):
                found.append(f"{path}:{node.lineno} {ast.unparse(node)}")
    assert not found, "\n".join(found)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(InputError) as error:
        get_task("summarization")
    assert error.value.expected == "one of " + ", ".join(TASKS)
    assert error.value.remedy == "--task text-classification"


@pytest.mark.parametrize("name", PROBLEM_TYPES)
def test_a_problem_type_belongs_to_one_task(name: str) -> None:
    assert get_problem_type(name).name == name
    assert [task for task in TASKS.values() if get_problem_type(name) in task.problem_types] == [
        task_of(name)
    ]


@pytest.mark.parametrize("name", PROBLEM_TYPES)
def test_the_direction_of_the_headline_metric(name: str) -> None:
    kind = get_problem_type(name)
    assert kind.less_is_better == (kind.metric in LESS_IS_BETTER) == (name == "regression")


SPANS = Prediction(spans=(Span("person", "Ada", 0, 3, 0.9), Span("place", "Rome", 7, 11, 0.25)))
LABELS = {"joy": 0.75, "anger": 0.25}


@pytest.mark.parametrize(
    ("name", "prediction", "top_k", "keys", "lines"),
    [
        (
            "single_label_classification",
            Prediction(labels=("joy",), probabilities=LABELS),
            None,
            ["label", "probability"],
            [(0.75, "joy")],
        ),
        (
            "single_label_classification",
            Prediction(labels=("joy",), probabilities=LABELS),
            2,
            ["label", "probability", "probabilities"],
            [(0.75, "joy"), (0.25, "anger")],
        ),
        (
            "multi_label_classification",
            Prediction(probabilities=LABELS),
            None,
            ["labels", "probabilities"],
            [(None, "no label")],
        ),
        ("regression", Prediction(value=2.5), None, ["value"], [(None, "2.5")]),
        (
            "entity_recognition",
            SPANS,
            None,
            ["entities"],
            [(0.9, "person  Ada"), (0.25, "place   Rome")],
        ),
        ("entity_recognition", Prediction(spans=()), None, ["entities"], [(None, "no entity")]),
        ("word_tagging", SPANS, None, ["words"], [(0.9, "person  Ada"), (0.25, "place   Rome")]),
    ],
)
def test_a_prediction_as_json_and_as_lines(
    name: str,
    prediction: Prediction,
    top_k: int | None,
    keys: list[str],
    lines: list[tuple[float | None, str]],
) -> None:
    kind = get_problem_type(name)
    record = kind.record(prediction, top_k)
    assert list(record) == keys
    assert kind.lines(record) == lines
