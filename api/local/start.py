"""Start a run on this machine, for the command line and the Python API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.local.checks import check
from kfp_finetune.local.execution import execute
from kfp_finetune.pipelines import catalog, parameters
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.pipelines.settings import settings
from kfp_finetune.runs.folder import RunFolder
from kfp_finetune.runs.trained_models import base_model


def start(
    pipeline: Pipeline,
    given: Mapping[str, Any],
    *,
    config: Path | None = None,
    preset: str | None = None,
    seeds: str | None = None,
    runs_dir: Path,
    name: str | None = None,
    **how: Any,
) -> RunFolder:
    """Run a pipeline on this machine.

    Args:
        pipeline: The pipeline.
        given: The given parameters; `learning_rate` may be "auto".
        config: A YAML file of parameters; the preset and the given ones override it.
        preset: Named settings, or a set of candidates for a pipeline that compares.
        seeds: Numbers separated by commas; every candidate is trained with each of them.
        runs_dir: The folder of runs.
        name: The run's name; None for the dataset's name and the time.
        **how: `use_cache`, `runner`, `image` and `screen`, see `execute`.

    Returns:
        The run.

    Raises:
        InputError: As `settings` and `execute`.
        Interrupted: As `execute`.
        LoggedError: As `execute`.
    """
    given = dict(given)
    find_rate = given.get("learning_rate") == parameters.AUTO
    if find_rate:
        del given["learning_rate"]
    values = settings(pipeline, given, config, preset, seeds)
    values["model"] = base_model(values["model"], runs_dir)
    if find_rate:
        values["learning_rate"] = _found_rate(pipeline, values, runs_dir, name, how)
    return execute(pipeline, values, runs_dir=runs_dir, name=name, **how)


def _found_rate(
    pipeline: Pipeline,
    values: Mapping[str, Any],
    runs_dir: Path,
    name: str | None,
    how: Mapping[str, Any],
) -> float:
    """Find the learning rate, after checking that the run itself can start."""
    from kfp_finetune.local.range_test import find_learning_rate

    if pipeline is not catalog.PIPELINES["finetune"]:
        raise InputError(
            f"{pipeline.name} trains with several learning rates",
            where="--learning-rate",
            expected="--learning-rate auto with the pipeline finetune",
            remedy="omit --learning-rate",
        )
    check(pipeline, values, runs_dir, name, **how)
    return find_learning_rate(values, parameters.defaults(pipeline.definition), runs_dir, **how)
