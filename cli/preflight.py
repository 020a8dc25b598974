"""What can be known to be wrong before anything starts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

from kfp_finetune.cli import catalog
from kfp_finetune.cli.parameters import defaults
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.not_given import ZERO_IS_NOT_GIVEN

# The steps are counted from the data; until then a run is as long as can be.
_NUM_TRAIN_STEPS = 2**31
_TEMPLATE = re.compile(r"\{\{|\[\[(?:RunUUID|CurrentTime|ScheduledTime|Index)\b")
_STEP_PARAMETERS = (
    "batch_size",
    "num_train_epochs",
    "max_steps",
    "gradient_accumulation_steps",
)


def check_installed() -> None:
    """Check that what the steps need is there.

    Raises:
        InputError: If this is the client alone.
    """
    if find_spec("tensorflow") is None:
        raise InputError(
            "TensorFlow is not installed: this is the client, which compiles and submits",
            where="this Python environment",
            expected="what the steps need, to run them here",
            remedy="pip install 'kfp-finetune[train]'",
        )


def check_templates(values: Mapping[str, Any], where: str = "") -> None:
    """Refuse what a runner would replace.

    Argo replaces `{{workflow.name}}`, KFP's local runner `{{$…}}`, its server `[[RunUUID]]`.

    Args:
        values: Names to values, lists and mappings among them.
        where: Where they are from; "" for the options of these names.

    Raises:
        InputError: If one of them contains such a thing.
    """
    found = {name: part for name, value in values.items() if (part := _template_in(value))}
    if found:
        raise InputError(
            "; ".join(f"{name} contains {part}" for name, part in found.items()),
            where=where or ", ".join("--" + name.replace("_", "-") for name in found),
            expected="text without {{ and [[RunUUID]], [[CurrentTime]], [[ScheduledTime]] or"
            " [[Index]]: Kubeflow Pipelines puts values of its own there",
            remedy="rename the column, label or file, and give its new name",
        )


def _template_in(value: Any) -> str:
    """What would be replaced in a value; "" if nothing."""
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
        InputError: If something is wrong.
    """
    check_templates(parameters)
    if pipeline == "compare_schedules":
        standard = defaults(catalog.PIPELINES["finetune"].definition)
        for candidate in parameters["candidates"]:
            own = {name: value for name, value in candidate.items() if name != "name"}
            check_settings("finetune", {**standard, **parameters, **own})
    if pipeline == "finetune":
        from kfp_finetune.components.build_optimizer.parameters import (
            Parameters,
            build_optimizer_config,
        )
        from kfp_finetune.components.finetune.parameters import (
            check_on_divergence,
            check_precision,
            grouped,
        )
        from kfp_finetune.components.load_data.steps import check_step_parameters

        check_step_parameters(**{name: parameters[name] for name in _STEP_PARAMETERS})
        build_optimizer_config(
            num_train_steps=parameters["max_steps"] or _NUM_TRAIN_STEPS,
            **{field.name: parameters[field.name] for field in fields(Parameters)},
        )
        # The client has none of what tasks measure with.
        with contextlib.suppress(ImportError):
            from kfp_finetune.components.tasks import get_task

            get_task(parameters["task"]).check_training_loss(
                parameters["label_smoothing_factor"],
                parameters["class_weights"],
                parameters["problem_type"],
            )
        check_precision(parameters["precision"])
        check_on_divergence(parameters["on_divergence"])
        grouped(parameters)
        _check_zeros(parameters)


def _check_zeros(parameters: Mapping[str, Any]) -> None:
    """Refuse a 0 that a person typed: the component would take it for "not given"."""
    for name in sorted(ZERO_IS_NOT_GIVEN):
        if parameters.get(name) == 0:
            option = "--" + name.replace("_", "-")
            raise InputError(
                f"{name} is 0",
                where=name,
                expected="a number above 0",
                remedy=f"leave {option} out",
            )
