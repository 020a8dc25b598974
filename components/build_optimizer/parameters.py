"""What build_optimizer is told: checked, all of it at once, and made into a description."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.build_optimizer.checks import (
    check_lengths,
    check_parameters,
    read_boundaries,
)
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.repeating import changed


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of build_optimizer.

    Attributes:
        optimizer: "adam"; "adamw", with decoupled weight decay; "sgd", gradient descent; or "lion".
        learning_rate: The peak, per update.
        lr_scheduler_type: One of `SCHEDULES`.
        end_learning_rate: The rate after the last update, where the decay has an end of its own.
        power: Of the polynomial; 1 is a straight line.
        num_cycles: Decays of cosine_with_restarts. Transformers' default of 1 has no restart.
        decay_rate: Of exponential: the rate after the last update ÷ `learning_rate`.
        decay_ratio: Of warmup_stable_decay: share of the updates that the decay takes, rounded
            down, but at least one update.
        lr_boundaries: Of piecewise_constant: `share:rate,...`; from that share of the updates on,
            warmup included and rounded down, the rate is this one.
        warmup_ratio: Share of the updates spent in warmup, rounded up; or give `warmup_steps`.
        warmup_steps: Updates spent in warmup.
        momentum: Of sgd; 0 is plain gradient descent.
        weight_decay: Of adamw and lion, times the rate of each update; biases and layer norms have
            none.
        adam_beta1: Of adam and adamw: decay of the first moment.
        adam_beta2: Of adam and adamw: decay of the second moment.
        adam_epsilon: Of adam and adamw: added to the denominator; 1e-7 is Keras' default.
        max_grad_norm: Clip the gradients' global norm to this; None leaves them alone.
    """

    optimizer: str = "adam"
    learning_rate: float = 5e-5
    lr_scheduler_type: str = "polynomial"
    end_learning_rate: float = 0.0
    power: float = 1.0
    num_cycles: int = 2
    decay_rate: float = 0.1
    decay_ratio: float = 0.1
    lr_boundaries: str | None = None
    warmup_ratio: float = 0.0
    warmup_steps: int = 0
    momentum: float = 0.0
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-7
    max_grad_norm: float | None = None


_DEFAULTS = asdict(Parameters())
# What the lengths of the schedule's parts are computed from.
_SHAPE = {
    "num_train_steps",
    "lr_scheduler_type",
    "num_cycles",
    "decay_ratio",
    "lr_boundaries",
    "warmup_ratio",
    "warmup_steps",
}


def build_optimizer_config(num_train_steps: int, **parameters: Any) -> OptimizerConfig:
    """Describe the optimizer and the schedule of a run of `num_train_steps` updates.

    Args:
        num_train_steps: Updates of the run, as `count_steps` counted them.
        **parameters: Of `Parameters`.

    Raises:
        InputError: With every parameter that is wrong, and every one that is not at its default
            and that the chosen schedule or optimizer does not use.
    """
    p = Parameters(**parameters)
    values = {"num_train_steps": num_train_steps, **asdict(p)}
    problems = check_parameters(values, _DEFAULTS)
    if _SHAPE.isdisjoint(name for problem in problems for name in problem.where.split(", ")):
        warmup = p.warmup_steps or math.ceil(_share(p.warmup_ratio, num_train_steps))
        decay = 0
        if p.lr_scheduler_type == "warmup_stable_decay":
            decay = max(1, math.floor(_share(p.decay_ratio, num_train_steps)))
        pieces = [
            (max(1, math.floor(_share(share, num_train_steps))), rate)
            for share, rate in read_boundaries(p.lr_boundaries or "")
        ]
        problems += check_lengths(values, warmup, decay, [start for start, _ in pieces])
    if problems:
        raise InputError.of_all(problems)
    return OptimizerConfig.model_validate(
        {
            "name": p.optimizer,
            "schedule": {
                "name": p.lr_scheduler_type,
                "learning_rate": p.learning_rate,
                "end_learning_rate": p.end_learning_rate,
                "power": p.power,
                "num_cycles": p.num_cycles,
                "decay_rate": p.decay_rate,
                "decay_steps": decay,
                "boundaries": pieces,
                "warmup_steps": warmup,
                "num_train_steps": num_train_steps,
            },
            "momentum": p.momentum,
            "weight_decay": p.weight_decay,
            "adam_beta1": p.adam_beta1,
            "adam_beta2": p.adam_beta2,
            "adam_epsilon": p.adam_epsilon,
            "max_grad_norm": p.max_grad_norm,
            "parameters": changed(asdict(p), Parameters),
        }
    )


def _share(share: float, of: int) -> float:
    # Rounded first: 0.1 × 30 is 3.0000000000000004, which is not a fourth step.
    return round(share * of, 9)
