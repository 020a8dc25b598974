"""What is checked before a run is made: files, parameters, what runs the steps, its name.

What is refused here leaves no folder, and its name is free.
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
    """Check everything that can be known to be wrong before a run is made.

    Args:
        pipeline: Which.
        parameters: As `execute` takes them, and the others, too.
        runs_dir: Where the run's folder is to be made.
        name: The run's name.
        runner: What runs the steps.
        image: The containers' image.

    Returns:
        The image in which the steps run; None: they run in this environment.

    Raises:
        InputError: With everything that is wrong.
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
    """Refuse data and a model on this disk that are not there.

    Args:
        pipeline: The pipeline's name.
        parameters: A value for every parameter of the pipeline, relative paths made absolute.

    Raises:
        InputError: With all that is missing.
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
    """The image in which the steps run; None: they run in this environment, which can do it."""
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
