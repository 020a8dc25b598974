"""Checks before a pipeline starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

from kfp_finetune.components.build_optimizer.parameters import (
    Parameters,
    build_optimizer_config,
)
from kfp_finetune.components.chosen import CHOSEN
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import parameters as finetune
from kfp_finetune.components.finetune.selection import Selection
from kfp_finetune.components.load_data import checks as load_data
from kfp_finetune.components.load_data.readers.formats import format_of
from kfp_finetune.components.load_data.steps import MOST_STEPS, check_step_parameters
from kfp_finetune.components.not_given import ZERO_IS_NOT_GIVEN, is_given
from kfp_finetune.components.tasks.registry import TASKS
from kfp_finetune.pipelines import catalog
from kfp_finetune.pipelines.parameters import defaults

# The steps are counted from the data; until then, assume the longest possible run.
_NUM_TRAIN_STEPS = MOST_STEPS
# And a chosen learning rate is as high as can be.
_HIDDEN_SIZE = 1
_TEMPLATE = re.compile(r"\{\{|\[\[(?:RunUUID|CurrentTime|ScheduledTime|Index)\b")
_STEP_PARAMETERS = (
    "batch_size",
    "num_train_epochs",
    "max_steps",
    "gradient_accumulation_steps",
)


def check_installed() -> None:
    """Check that the packages of the steps are installed.

    Raises:
        InputError: If only the client is installed.
    """
    if find_spec("tensorflow") is None:
        raise InputError(
            "TensorFlow is not installed: this is the client, which compiles and submits",
            where="this Python environment",
            expected="the packages that run the steps on this machine",
            remedy="pip install 'kfp-finetune[train]'",
        )


def check_templates(values: Mapping[str, Any], where: str = "") -> None:
    """Refuse text that a runner would replace.

    Argo replaces `{{workflow.name}}`, KFP's local runner `{{$…}}`, its server `[[RunUUID]]`.

    Args:
        values: Values by name, including lists and mappings.
        where: The source of the values; "" for the options with these names.

    Raises:
        InputError: If a value contains such text.
    """
    found = {name: part for name, value in values.items() if (part := _template_in(value))}
    if found:
        raise InputError(
            "; ".join(f"{name} contains {part}" for name, part in found.items()),
            where=where or ", ".join("--" + name.replace("_", "-") for name in found),
            expected="text without {{ and [[RunUUID]], [[CurrentTime]], [[ScheduledTime]] or"
            " [[Index]], which Kubeflow Pipelines would replace",
            remedy="rename the column, label or file",
        )


def _template_in(value: Any) -> str:
    """The text in a value that would be replaced; "" if there is none."""
    if isinstance(value, Mapping):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, list | tuple):
        return next(filter(None, map(_template_in, value)), "")
    found = _TEMPLATE.search(value) if isinstance(value, str) else None
    return found[0] if found else ""


def check_settings(pipeline: str, parameters: Mapping[str, Any]) -> None:
    """Refuse settings that a step would refuse minutes later.

    Args:
        pipeline: The pipeline's name.
        parameters: A value for every parameter of the pipeline.

    Raises:
        InputError: Listing every problem, in the order of the pipeline's parameters.
    """
    if problems := find_problems(pipeline, parameters):
        raise InputError.of_all(problems)


def find_problems(pipeline: str, parameters: Mapping[str, Any]) -> list[InputError]:
    """Everything that `check_settings` refuses."""
    problems = InputError.found_by(lambda: check_templates(parameters))
    if pipeline == "compare_schedules":
        standard = defaults(catalog.PIPELINES["finetune"].definition)
        for candidate in parameters["candidates"]:
            own = {n: v for n, v in candidate.items() if n != "name" and is_given(n, v)}
            problems += find_problems("finetune", {**standard, **parameters, **own})
    if pipeline == "finetune":
        problems += _of_finetune(parameters)
        order = list(parameters)
        places = {id(p): p.where.split(", ")[0] for p in problems}
        problems.sort(key=lambda p: order.index(places[id(p)]) if places[id(p)] in order else -1)
    return problems


def _of_finetune(parameters: Mapping[str, Any]) -> list[InputError]:
    """The results of the steps' own checks, and of checks across steps."""
    task = parameters["task"]
    optimizer = {field.name: parameters[field.name] for field in fields(Parameters)}
    steps = {name: parameters[name] for name in _STEP_PARAMETERS}
    planned = max(parameters["max_steps"] or 0, 0) or _NUM_TRAIN_STEPS
    checks: list[Callable[[], Any]] = [
        lambda: check_step_parameters(**steps),
        lambda: build_optimizer_config(planned, _HIDDEN_SIZE, **optimizer),
    ]
    problems = [
        *load_data.check_parameters(parameters),
        *finetune.check_parameters(parameters),
        *(problem for check in checks for problem in InputError.found_by(check)),
        *(TASKS[task].check_training_parameters(parameters) if task in TASKS else ()),
    ]
    reported = {problem.where for problem in problems}
    more = [*_of_selection(parameters), *_zeros(parameters)]
    return problems + [problem for problem in more if problem.where not in reported]


def _of_selection(parameters: Mapping[str, Any]) -> list[InputError]:
    """Refuse early stopping and the best model if there is certainly no validation split."""
    patience, metric = parameters["early_stopping_patience"], parameters["metric_for_best_model"]
    load_best = parameters["load_best_model_at_end"]
    if metric != "loss" and not load_best and not patience:
        return [
            InputError(
                f"metric_for_best_model is '{metric}', but nothing uses it",
                where="metric_for_best_model",
                expected="--load-best-model-at-end, --early-stopping-patience, or both",
                remedy="--load-best-model-at-end, or omit --metric-for-best-model",
            )
        ]
    elsewhere = ("validation_dataset", "validation_split", "split_column")
    found = format_of(str(parameters["dataset"]))
    if (
        parameters["validation_fraction"] > 0
        or any(parameters[name] for name in elsewhere)
        or found is None
        or found.has_splits
    ):
        return []
    return Selection(
        load_best=load_best, patience=max(1, patience or 0) if patience else None
    ).without_validation()


def _zeros(parameters: Mapping[str, Any]) -> list[InputError]:
    """Refuse a 0 typed by a person, which the component would read as "not given"."""
    return [
        InputError(
            f"{name} is 0",
            where=name,
            expected="a number above 0",
            remedy=f"omit --{name.replace('_', '-')}",
        )
        for name in sorted(ZERO_IS_NOT_GIVEN - set(CHOSEN))
        if parameters.get(name) == 0
    ]
