"""The bundled sample on a cluster: every image has it, so it need not be uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from kfp_finetune.pipelines import catalog, paths

# A link that the Dockerfile makes; where the package itself lies depends on the version of Python.
IN_IMAGE = "/opt/venv/sample"


def folder() -> str:
    """Where it is on this disk."""
    return str(catalog.PIPELINES["finetune"].sample.parent)


def in_image(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with its paths as they are in the image."""
    return _moved(parameters, folder(), IN_IMAGE)


def on_this_disk(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse, for the parameters of a cluster run."""
    return _moved(parameters, IN_IMAGE, folder())


def _moved(parameters: Mapping[str, Any], source: str, target: str) -> dict[str, Any]:
    moved = dict(parameters)
    for name in paths.PATH_PARAMETERS:
        path = PurePosixPath(str(parameters.get(name) or ""))
        if path.is_relative_to(source):
            moved[name] = str(target / path.relative_to(source))
    return moved
