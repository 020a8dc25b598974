"""The parameters of build_optimizer: checked all at once, and made into the optimizer config.

Most of them are fields of the config, which declares them. To add one, add the field there and use
it in `schedules.py` or `optimizers.py`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, make_dataclass, replace
from typing import Any

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.checks import (
    FIELDS,
    check_lengths,
    check_parameters,
    read_boundaries,
)
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.repeating import changed


@dataclass(frozen=True, kw_only=True)
class _Own:
    """The parameters that are no fields of the config, or have another default there.

    Attributes:
        optimizer: One of `OPTIMIZERS`.
        learning_rate: The peak; None: chosen from the model's hidden size.
        lr_scheduler_type: One of `SCHEDULES`.
        num_cycles: Cosine decays of cosine_with_restarts. Transformers' default, 1, has no restart.
        decay_ratio: Share of the steps in the decay of warmup_stable_decay, rounded down, but at
            least one step.
        lr_boundaries: Pieces of piecewise_constant, `share:rate,...`: from that share of all steps
            on, rounded down, the rate is this one.
        warmup_ratio: Share of the steps in the warmup, rounded up; or give `warmup_steps`.
    """

    optimizer: str = "adam"
    learning_rate: float | None = None
    lr_scheduler_type: str = "polynomial"
    num_cycles: int = 2
    decay_ratio: float = 0.1
    lr_boundaries: str | None = None
    warmup_ratio: float = 0.0


# The parameters and their defaults.
Parameters: Any = make_dataclass(
    "Parameters",
    [
        (name, info.annotation, field(default=info.default))
        for name, info in FIELDS.items()
        if name not in _Own.__dataclass_fields__
    ],
    bases=(_Own,),
    frozen=True,
    kw_only=True,
)
DEFAULTS: dict[str, Any] = asdict(Parameters())
# The lengths of the schedule's parts are computed from these.
_SHAPE = {
    "num_train_steps",
    "lr_scheduler_type",
    "num_cycles",
    "decay_ratio",
    "lr_boundaries",
    "warmup_ratio",
    "warmup_steps",
}


def build_optimizer_config(
    num_train_steps: int, hidden_size: int = 0, **parameters: Any
) -> OptimizerConfig:
    """Describe the optimizer and the schedule of a run of `num_train_steps` steps.

    Args:
        num_train_steps: Number of optimizer steps, as `count_steps` returned it.
        hidden_size: Width of the model, from which the rate is chosen if none is given; 0: unknown.
        **parameters: Fields of `Parameters`.

    Raises:
        InputError: With every parameter that is wrong, and every one that is not at its default
            although the chosen schedule or optimizer does not use it.
    """
    p = Parameters(**parameters)
    if p.learning_rate is None:
        rate = choose_learning_rate(hidden_size, p.optimizer, p.momentum)
        p = replace(p, learning_rate=rate)
    values = {**asdict(p), "num_train_steps": num_train_steps}
    problems = check_parameters(values, DEFAULTS)
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
    schedule = {name: values[name] for name in Schedule.model_fields if name in values}
    schedule |= {
        "name": p.lr_scheduler_type,
        "decay_steps": decay,
        "boundaries": pieces,
        "warmup_steps": warmup,
    }
    config = {name: values[name] for name in OptimizerConfig.model_fields if name in values}
    return OptimizerConfig.model_validate(
        config
        | {
            "name": p.optimizer,
            "schedule": schedule,
            "parameters": changed(asdict(p), Parameters),
        }
    )


def _share(share: float, of: int) -> float:
    # Rounded first: 0.1 × 30 is 3.0000000000000004, which is not a fourth step.
    return round(share * of, 9)
