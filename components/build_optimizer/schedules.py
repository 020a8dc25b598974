"""The learning rate as a pure function of the step, written once and without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from kfp_finetune.components.artifacts.optimizer_config import (
    OPTIMIZERS,
    SCHEDULES,
    OptimizerConfig,
    Schedule,
)
from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Each maps (schedule, progress in [0, 1] between the end of warmup and the end) to a rate.
_DECAYS: dict[str, Callable[[Schedule, float], float]] = {
    # Transformers get_constant_schedule_with_warmup
    "constant": lambda s, progress: s.learning_rate,
    # Keras CosineDecay with alpha = end / peak
    "cosine": lambda s, progress: _between(s, 0.5 * (1 + math.cos(math.pi * progress))),
    # Transformers get_linear_schedule_with_warmup
    "linear": lambda s, progress: _between(s, 1 - progress),
    # Keras PolynomialDecay
    "polynomial": lambda s, progress: _between(s, (1 - progress) ** s.power),
}


def _between(schedule: Schedule, share: float) -> float:
    end = schedule.end_learning_rate
    return end + (schedule.learning_rate - end) * share


def learning_rate_at(schedule: Schedule, step: int) -> float:
    """The rate that update number `step` uses.

    Args:
        schedule: Which curve.
        step: Updates made before this one: 0 for the first, `num_train_steps - 1` for the last.
            From `num_train_steps` on, the rate stays where the schedule ends.

    Returns:
        Linear warmup from 0 (`learning_rate × step / warmup_steps`, Transformers' WarmUp) while
        `step < warmup_steps`, then the decay over the updates that are left.
    """
    if step < schedule.warmup_steps:
        return schedule.learning_rate * step / schedule.warmup_steps
    length = schedule.num_train_steps - schedule.warmup_steps
    progress = min((step - schedule.warmup_steps) / length, 1.0)
    return _DECAYS[schedule.name](schedule, progress)


def learning_rates(schedule: Schedule) -> NDArray[np.float32]:
    """All rates of a run, shape [num_train_steps + 1]: the last is that after the last update."""
    import numpy as np

    steps = range(schedule.num_train_steps + 1)
    return np.array([learning_rate_at(schedule, step) for step in steps], dtype=np.float32)


def build_optimizer_config(
    num_train_steps: int,
    optimizer: str = "adam",
    learning_rate: float = 5e-5,
    lr_scheduler_type: str = "polynomial",
    end_learning_rate: float = 0.0,
    power: float = 1.0,
    warmup_ratio: float = 0.0,
    warmup_steps: int = 0,
    weight_decay: float = 0.0,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_epsilon: float = 1e-7,
    max_grad_norm: float | None = None,
) -> OptimizerConfig:
    """Describe the optimizer and the schedule of a run of `num_train_steps` updates.

    Args:
        num_train_steps: Updates of the run, as `count_steps` counted them.
        optimizer: "adam", or "adamw" with decoupled weight decay.
        learning_rate: The peak, per update.
        lr_scheduler_type: "polynomial", "linear", "cosine" or "constant".
        end_learning_rate: The rate that the decay ends at.
        power: Of the polynomial; 1 is a straight line.
        warmup_ratio: Share of the updates spent in warmup, rounded up; or give `warmup_steps`.
        warmup_steps: Updates spent in warmup.
        weight_decay: Of adamw; not applied to biases and layer norms.
        adam_beta1: Decay of the first moment.
        adam_beta2: Decay of the second moment.
        adam_epsilon: Added to the denominator; 1e-7 is Keras' default.
        max_grad_norm: Clip the gradients' global norm to this; None leaves them alone.

    Raises:
        InputError: With every parameter that is wrong.
    """
    problems = _unknown_names(optimizer, lr_scheduler_type) or _problems(
        learning_rate=learning_rate,
        end_learning_rate=end_learning_rate,
        warmup_ratio=warmup_ratio,
        warmup_steps=warmup_steps,
        weight_decay=weight_decay,
        optimizer=optimizer,
    )
    if problems:
        raise _all_of(problems)
    warmup = warmup_steps or math.ceil(round(warmup_ratio * num_train_steps, 9))
    if warmup >= num_train_steps:
        raise InputError(
            f"warmup takes {warmup:,} of {num_train_steps:,} steps",
            where="warmup_steps, warmup_ratio",
            expected="warmup shorter than the run",
            remedy="a shorter warmup, e.g. --warmup-ratio 0.1, or more epochs",
        )
    try:
        return OptimizerConfig.model_validate(
            {
                "name": optimizer,
                "schedule": {
                    "name": lr_scheduler_type,
                    "learning_rate": learning_rate,
                    "end_learning_rate": end_learning_rate,
                    "power": power,
                    "warmup_steps": warmup,
                    "num_train_steps": num_train_steps,
                },
                "weight_decay": weight_decay,
                "adam_beta1": adam_beta1,
                "adam_beta2": adam_beta2,
                "adam_epsilon": adam_epsilon,
                "max_grad_norm": max_grad_norm,
            }
        )
    except ValidationError as error:
        raise _all_of(
            [
                InputError(
                    f"{e['loc'][-1]} is {e['input']}",
                    where=str(e["loc"][-1]),
                    expected=e["msg"].removeprefix("Input should be "),
                    remedy=f"leave --{str(e['loc'][-1]).replace('_', '-')} out for the default",
                )
                for e in error.errors()
            ]
        ) from None


def _unknown_names(optimizer: str, schedule: str) -> list[InputError]:
    return [
        InputError(
            f"{parameter} '{value}' is not known",
            where=parameter,
            expected="one of " + ", ".join(known),
            remedy=f"--{parameter.replace('_', '-')} {default}",
        )
        for parameter, value, known, default in (
            ("lr_scheduler_type", schedule, SCHEDULES, "polynomial"),
            ("optimizer", optimizer, OPTIMIZERS, "adam"),
        )
        if value not in known
    ]


def _problems(
    *,
    learning_rate: float,
    end_learning_rate: float,
    warmup_ratio: float,
    warmup_steps: int,
    weight_decay: float,
    optimizer: str,
) -> list[InputError]:
    problems = []
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        problems.append(
            InputError(
                f"learning_rate is {learning_rate:g}",
                where="learning_rate",
                expected="a number above 0; 1e-5 to 1e-4 suits pretrained models",
                remedy="--learning-rate 5e-5",
            )
        )
    elif end_learning_rate > learning_rate:
        problems.append(
            InputError(
                f"end_learning_rate {end_learning_rate:g} is above learning_rate {learning_rate:g}",
                where="end_learning_rate",
                expected="a rate to decay to, at most the peak",
                remedy="--end-learning-rate 0",
            )
        )
    if not 0 <= warmup_ratio < 1:
        problems.append(
            InputError(
                f"warmup_ratio is {warmup_ratio:g}",
                where="warmup_ratio",
                expected="a share of the steps, at least 0 and below 1",
                remedy="--warmup-ratio 0.1",
            )
        )
    if warmup_steps < 0:
        problems.append(
            InputError(
                f"warmup_steps is {warmup_steps}",
                where="warmup_steps",
                expected="a whole number of at least 0",
                remedy="leave --warmup-steps out",
            )
        )
    if warmup_ratio and warmup_steps:
        problems.append(
            InputError(
                "both warmup_ratio and warmup_steps are given",
                where="warmup_ratio, warmup_steps",
                expected="one of them",
                remedy="leave one out",
            )
        )
    if weight_decay and optimizer == "adam":
        problems.append(
            InputError(
                f"weight_decay is {weight_decay:g}, and adam does not decay weights",
                where="weight_decay",
                expected="optimizer adamw, whose weight decay is decoupled from the gradient",
                remedy="--optimizer adamw",
            )
        )
    return problems


def _all_of(problems: list[InputError]) -> InputError:
    """One error that says all of them."""
    if len(problems) == 1:
        return problems[0]

    def joined(part: str) -> str:
        return "; ".join(text for p in problems if (text := getattr(p, part)))

    return InputError(
        joined("found"),
        where=", ".join(p.where for p in problems),
        expected=joined("expected"),
        remedy=joined("remedy"),
    )
