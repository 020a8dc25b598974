"""What can be known to be wrong before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from kfp_finetune.components.errors import InputError


def preflight(pipeline: str, parameters: Mapping[str, Any]) -> None:
    """Refuse settings that a step would refuse minutes later.

    Args:
        pipeline: The pipeline's name.
        parameters: A value for every parameter of the pipeline.

    Raises:
        InputError: If something is wrong.
    """
    if find_spec("tensorflow") is None:
        raise InputError(
            "TensorFlow is not installed: this is the client, which compiles and submits",
            where="this Python environment",
            expected="what the steps need, to run them here",
            remedy="pip install 'kfp-finetune[train]'",
        )
