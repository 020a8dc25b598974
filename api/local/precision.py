"""The precision of a whole run, decided once where it begins."""

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

# A small encoder, where the model's own sizes are not on this disk.
_HIDDEN, _INTERMEDIATE = 384, 1536
_MOST_TOKENS = 4096


def of_run(
    parameters: Mapping[str, Any], before: Mapping[str, Any], *, here: bool, gpus: bool
) -> str:
    """The precision that a run's steps compute in.

    Args:
        parameters: The run's, by name.
        before: What run.json says of where the run ran before; empty for a new one.
        here: Whether steps run with this environment's TensorFlow, so that it can be measured.
        gpus: Whether there are GPUs, whose capability the step itself asks for.

    Returns:
        "float32", "bfloat16", or "auto" where there are GPUs. What a run once had it keeps.
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
    """Tokens of a batch, and the widths of the model and of its feed-forward layers."""
    try:
        path = Path(str(parameters.get("model")), "config.json")
        config = json.loads(path.read_text(encoding="utf-8"))
        hidden, intermediate = int(config["hidden_size"]), int(config["intermediate_size"])
    except (OSError, ValueError, KeyError, TypeError):
        hidden, intermediate = _HIDDEN, _INTERMEDIATE
    tokens = int(parameters.get("batch_size") or 32) * int(parameters.get("max_length") or 128)
    return min(tokens, _MOST_TOKENS), hidden, intermediate
