"""The precision of a whole run, decided once at its start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.finetune.precision import (
    BFLOAT16,
    FLOAT32,
    decide,
    decide_before_run,
)

# A small encoder, if the model's configuration is not on this disk.
_HIDDEN, _INTERMEDIATE = 384, 1536
_MOST_TOKENS = 4096


def of_run(
    parameters: Mapping[str, Any], before: Mapping[str, Any], *, here: bool, gpus: bool
) -> str:
    """The precision of a run's matrix products.

    Args:
        parameters: The run's parameters, by name.
        before: The environment in run.json before the run is resumed; empty for a new run.
        here: Whether steps use this environment's TensorFlow, so that it can be measured.
        gpus: Whether there are GPUs, whose capability the step checks itself.

    Returns:
        "float32", "bfloat16", or "auto" if there are GPUs. A resumed run keeps its precision.
    """
    asked = str(parameters.get("precision") or FLOAT32)
    if asked != "auto":
        return asked
    if before.get("precision") in (FLOAT32, BFLOAT16):
        return str(before["precision"])
    if gpus:
        return "auto"
    return decide_before_run(asked, *_sizes(parameters)) if here else decide(asked, [])


def step_parameters(parameters: Mapping[str, Any], decided: str) -> dict[str, str]:
    """The precision to pass to the steps, if they would decide otherwise by themselves."""
    if parameters.get("precision") != "auto" or decided in ("auto", decide("auto", [])):
        return {}
    return {"precision": decided}


def _sizes(parameters: Mapping[str, Any]) -> tuple[int, int, int]:
    """Number of tokens in a batch, and the widths of the model and its feed-forward layers."""
    try:
        path = Path(str(parameters.get("model")), "config.json")
        config = json.loads(path.read_text(encoding="utf-8"))
        hidden, intermediate = int(config["hidden_size"]), int(config["intermediate_size"])
    except (OSError, ValueError, KeyError, TypeError):
        hidden, intermediate = _HIDDEN, _INTERMEDIATE
    tokens = int(parameters.get("batch_size") or 32) * int(parameters.get("max_length") or 128)
    return min(tokens, _MOST_TOKENS), hidden, intermediate
