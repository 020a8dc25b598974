"""The learning rate as a pure function of the step, written once and without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from kfp_finetune.components.artifacts.optimizer_config import Schedule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Where nothing is warmed up, 1/sqrt starts as if so many updates had been made (Transformers).
_TIMESCALE_WITHOUT_WARMUP = 10_000


def learning_rate_at(schedule: Schedule, step: int) -> float:
    """The rate that update number `step` uses.

    Args:
        schedule: Which curve.
        step: Updates made before this one: 0 for the first, `num_train_steps - 1` for the last.
            From `num_train_steps` on, the rate stays where the schedule ends.

    Returns:
        Linear warmup from 0 (`learning_rate × step / warmup_steps`, Transformers' WarmUp) while
        `step < warmup_steps`, then the curve over the updates that are left.
    """
    if step < schedule.warmup_steps:
        return schedule.learning_rate * step / schedule.warmup_steps
    length = schedule.num_train_steps - schedule.warmup_steps
    done = min(step - schedule.warmup_steps, length)
    return _CURVES[schedule.name](schedule, done, length)


def learning_rates(schedule: Schedule) -> NDArray[np.float32]:
    """All rates of a run, shape [num_train_steps + 1]: the last is that after the last update."""
    import numpy as np

    steps = range(schedule.num_train_steps + 1)
    return np.array([learning_rate_at(schedule, step) for step in steps], dtype=np.float32)


# Each curve takes the schedule, the updates made since the warmup, and how many there are of these.


def _constant(schedule: Schedule, done: int, length: int) -> float:
    """Transformers `get_constant_schedule_with_warmup`."""
    return schedule.learning_rate


def _linear(schedule: Schedule, done: int, length: int) -> float:
    """Transformers `get_linear_schedule_with_warmup`."""
    return _between(schedule, 1 - done / length)


def _polynomial(schedule: Schedule, done: int, length: int) -> float:
    """Keras `PolynomialDecay`; Transformers `get_polynomial_decay_schedule_with_warmup`."""
    return _between(schedule, (1 - done / length) ** schedule.power)


def _cosine(schedule: Schedule, done: int, length: int) -> float:
    """Keras `CosineDecay`, alpha = end / peak; Transformers `get_cosine_schedule_with_warmup`."""
    return _between(schedule, _half_wave(done / length))


def _cosine_with_restarts(schedule: Schedule, done: int, length: int) -> float:
    """Transformers `get_cosine_with_hard_restarts_schedule_with_warmup` (SGDR, 1608.03983).

    The place in the cycle is counted in whole numbers: in floating point, a restart could come an
    update late.
    """
    if done == length:
        return schedule.end_learning_rate
    return _between(schedule, _half_wave(done * schedule.num_cycles % length / length))


def _inverse_sqrt(schedule: Schedule, done: int, length: int) -> float:
    """Transformers `get_inverse_sqrt_schedule`: peak × sqrt(warmup / step) after the warmup."""
    timescale = schedule.warmup_steps or _TIMESCALE_WITHOUT_WARMUP
    return schedule.learning_rate * math.sqrt(timescale / (timescale + done))


def _exponential(schedule: Schedule, done: int, length: int) -> float:
    """Keras `ExponentialDecay` with `decay_steps` of the whole length."""
    return float(schedule.learning_rate * schedule.decay_rate ** (done / length))


def _piecewise_constant(schedule: Schedule, done: int, length: int) -> float:
    """Keras `PiecewiseConstantDecay`, whose boundaries name the last update of a piece."""
    reached = [rate for start, rate in schedule.boundaries if schedule.warmup_steps + done >= start]
    return reached[-1] if reached else schedule.learning_rate


def _warmup_stable_decay(schedule: Schedule, done: int, length: int) -> float:
    """Transformers `get_wsd_schedule` with its cosine decay (MiniCPM, 2404.06395)."""
    decayed = done - (length - schedule.decay_steps)
    if decayed <= 0:
        return schedule.learning_rate
    return _between(schedule, _half_wave(decayed / schedule.decay_steps))


def _half_wave(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _between(schedule: Schedule, share: float) -> float:
    end = schedule.end_learning_rate
    return end + (schedule.learning_rate - end) * share


_CURVES: dict[str, Callable[[Schedule, int, int], float]] = {
    "constant": _constant,
    "linear": _linear,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "cosine_with_restarts": _cosine_with_restarts,
    "inverse_sqrt": _inverse_sqrt,
    "exponential": _exponential,
    "piecewise_constant": _piecewise_constant,
    "warmup_stable_decay": _warmup_stable_decay,
}
