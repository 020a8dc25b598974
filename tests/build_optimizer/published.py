"""Learning rates as Transformers' PyTorch schedules compute them, taken from the installed package.

`transformers.optimization` imports torch, which is not here; the functions that its schedules are
made of are plain arithmetic. So they are taken out of its source and run as they stand.
"""

from __future__ import annotations

import ast
import importlib.util
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Optional

from kfp_finetune.components.artifacts.optimizer_config import Schedule


def rate(schedule: Schedule, step: int) -> float:
    """The rate that a PyTorch optimizer would use for update number `step`."""
    name = schedule.name if schedule.warmup_steps or schedule.name != "constant" else "flat"
    end = schedule.end_learning_rate
    warmup = {"num_warmup_steps": schedule.warmup_steps}
    whole = warmup | {"num_training_steps": schedule.num_train_steps}
    function, arguments = {
        "flat": ("_get_constant_lambda", {}),
        "constant": ("_get_constant_schedule_with_warmup_lr_lambda", warmup),
        "linear": ("_get_linear_schedule_with_warmup_lr_lambda", whole),
        "polynomial": (
            "_get_polynomial_decay_schedule_with_warmup_lr_lambda",
            whole | {"lr_end": end, "power": schedule.power, "lr_init": schedule.learning_rate},
        ),
        "cosine": (
            "_get_cosine_schedule_with_warmup_lr_lambda",
            whole | {"num_cycles": 0.5, "min_lr_rate": end / schedule.learning_rate},
        ),
        "cosine_with_restarts": (
            "_get_cosine_with_hard_restarts_schedule_with_warmup_lr_lambda",
            whole | {"num_cycles": schedule.num_cycles},
        ),
        "inverse_sqrt": (
            "_get_inverse_sqrt_schedule_lr_lambda",
            warmup | {"timescale": schedule.warmup_steps or 10_000},
        ),
        "warmup_stable_decay": (
            "_get_wsd_scheduler_lambda",
            warmup
            | {
                "num_stable_steps": schedule.num_train_steps
                - schedule.warmup_steps
                - schedule.decay_steps,
                "num_decay_steps": schedule.decay_steps,
                "warmup_type": "linear",
                "decay_type": "cosine",
                "min_lr_ratio": end / schedule.learning_rate,
                "num_cycles": 0.5,
            },
        ),
    }[name]
    if name == "flat":
        return schedule.learning_rate
    return schedule.learning_rate * float(_functions()[function](step, **arguments))


@cache
def _functions() -> dict[str, Callable[..., float]]:
    spec = importlib.util.find_spec("transformers")
    assert spec and spec.origin
    source = (Path(spec.origin).parent / "optimization.py").read_text()
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_lambda")
    ]
    names: dict[str, Any] = {"math": math, "Optional": Optional}
    exec(compile(ast.Module(found, []), "optimization.py", "exec"), names)  # noqa: S102
    return names
