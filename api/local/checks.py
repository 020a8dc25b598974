"""Checks before a run is created: files, parameters, the runner and the name.

If a check fails, no folder is created and the name remains free.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.fingerprints import DATASETS
from kfp_finetune.components.load_data.model_location import resolve
from kfp_finetune.components.load_data.readers.locations import missing
from kfp_finetune.local.containers import Image, find_image
from kfp_finetune.pipelines import paths
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.pipelines.checks import check_installed, check_settings
from kfp_finetune.runs.folder import Runner, check_name


def check(
    pipeline: Pipeline,
    parameters: Mapping[str, Any],
    runs_dir: Path,
    name: str | None,
    *,
    runner: Runner = "subprocess",
    image: str | None = None,
    **_: Any,
) -> Image | None:
    """Check everything that can be checked before a run is created.

    Args:
        pipeline: The pipeline.
        parameters: A value for every parameter, including the fingerprints.
        runs_dir: The folder of runs.
        name: The run's name.
        runner: "subprocess" or "docker".
        image: The image of the containers.

    Returns:
        The image in which the steps run; None if they run in this environment.

    Raises:
        InputError: Listing every problem.
    """
    images: list[Image | None] = []
    problems = InputError.found_by(lambda: _check_files(pipeline.name, parameters))
    problems += InputError.found_by(lambda: check_settings(pipeline.name, parameters))
    problems += InputError.found_by(lambda: images.append(_find_image(runner, image)))
    problems += InputError.found_by(lambda: check_name(runs_dir, name))
    if problems:
        raise InputError.of_all(problems)
    return images[0]


def _check_files(pipeline: str, parameters: Mapping[str, Any]) -> None:
    """Refuse local data and models that do not exist.

    Args:
        pipeline: The pipeline's name.
        parameters: A value for every parameter of the pipeline, relative paths made absolute.

    Raises:
        InputError: Listing everything that is missing.
    """
    if pipeline not in ("finetune", "compare_schedules"):
        return
    problems = []
    for name in DATASETS:
        path = paths.on_this_disk(str(parameters[name] or ""))
        if path is not None and not os.path.lexists(path) and not set(path) & set("*?["):
            problems.append(missing(Path(path), name))
    model = str(parameters["model"])
    if paths.on_this_disk(model) is not None:
        revision = parameters["model_revision"]
        problems += InputError.found_by(lambda: resolve(model, revision, weights=False))
    if problems:
        raise InputError.of_all(problems)


def _find_image(runner: Runner, image: str | None) -> Image | None:
    """Check the runner, and return the image of the steps; None if they run in this environment."""
    if runner == "subprocess":
        if image is not None:
            raise InputError(
                f"--image {image} without containers",
                where="the command line",
                expected="--runner docker --image REF",
                remedy="add --runner docker, or omit --image",
            )
        check_installed()
        return None
    return find_image(image)
