"""The bundled sample on a cluster, which every image contains, so that it is not uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from kfp_finetune.pipelines import catalog, paths

# A link created by the Dockerfile; the package's own path depends on the Python version.
IN_IMAGE = "/opt/venv/sample"


def folder() -> str:
    """Its path on this disk."""
    return str(catalog.PIPELINES["finetune"].sample.parent)


def in_image(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Replace its paths in the parameters by those in the image."""
    return _moved(parameters, folder(), IN_IMAGE)


def on_this_disk(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `in_image`, for the parameters of a cluster run."""
    return _moved(parameters, IN_IMAGE, folder())


def _moved(parameters: Mapping[str, Any], source: str, target: str) -> dict[str, Any]:
    moved = dict(parameters)
    for name in paths.PATH_PARAMETERS:
        path = PurePosixPath(str(parameters.get(name) or ""))
        if path.is_relative_to(source):
            moved[name] = str(target / path.relative_to(source))
    return moved
