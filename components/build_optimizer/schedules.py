"""The learning rate as a pure function of the step, written once, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kfp_finetune.components.artifacts.optimizer_config import Schedule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Without a warmup, inverse_sqrt starts as if this many steps had been made (Transformers).
_TIMESCALE_WITHOUT_WARMUP = 10_000


class Arithmetic(Protocol):
    """The functions that the curves need besides operators, for one kind of numbers."""

    def cos(self, x: Any, /) -> Any:
        """The cosine."""

    def sqrt(self, x: Any, /) -> Any:
        """The square root."""

    def minimum(self, a: Any, b: Any, /) -> Any:
        """The smaller number."""

    def maximum(self, a: Any, b: Any, /) -> Any:
        """The larger number."""

    def where(self, condition: Any, a: Any, b: Any, /) -> Any:
        """`a` if the condition is true, else `b`; both are computed."""


class _Python:
    """The arithmetic of Python's numbers."""

    cos = staticmethod(math.cos)
    sqrt = staticmethod(math.sqrt)
    minimum = staticmethod(min)
    maximum = staticmethod(max)

    @staticmethod
    def where(condition: Any, a: Any, b: Any) -> Any:
        return a if condition else b


_PYTHON = _Python()


def learning_rate_at(schedule: Schedule, step: Any, arithmetic: Arithmetic = _PYTHON) -> Any:
    """The rate that step `step` uses.

    Args:
        schedule: The schedule.
        step: Number of steps before this one: 0 for the first, `num_train_steps - 1` for the
            last. From `num_train_steps` on, the rate stays where the schedule ends.
        arithmetic: The arithmetic for the type of the step: an int, or a float64 tensor.

    Returns:
        Linear warmup from 0 (`learning_rate × step / warmup_steps`, Transformers' WarmUp) while
        `step < warmup_steps`, then the curve over the remaining steps.
    """
    m, warmup = arithmetic, schedule.warmup_steps
    length = schedule.num_train_steps - warmup
    done = m.minimum(m.maximum(step - warmup, 0), length)
    rate = _CURVES[schedule.name](schedule, done, length, m)
    if not warmup:
        return rate
    return m.where(step < warmup, schedule.learning_rate * step / warmup, rate)


def learning_rates(schedule: Schedule, steps: Sequence[int] | None = None) -> NDArray[np.float32]:
    """The learning rates of a run.

    Args:
        schedule: The schedule.
        steps: The steps; None: all of them, and the rate after the last step.

    Returns:
        Shape [steps], or [num_train_steps + 1].
    """
    import numpy as np

    steps = range(schedule.num_train_steps + 1) if steps is None else steps
    return np.array([learning_rate_at(schedule, step) for step in steps], dtype=np.float32)


def highest_rate(schedule: Schedule, steps: int) -> float:
    """The highest learning rate of a run; at least `learning_rate`, even if a warmup was cut short.

    Only an exponential schedule with a decay rate above 1 rises further, up to the last step.

    Args:
        schedule: The schedule.
        steps: The number of steps that were made; with one more than planned, the rate at which the
            schedule ends counts, which does not depend on the length.
    """
    return max(schedule.learning_rate, float(learning_rate_at(schedule, max(steps, 1) - 1)))


# Each curve takes the schedule, the number of steps since the warmup, their total, and the
# arithmetic.


def _constant(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Transformers `get_constant_schedule_with_warmup`."""
    return schedule.learning_rate


def _linear(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Transformers `get_linear_schedule_with_warmup`."""
    return _between(schedule, 1 - done / length)


def _polynomial(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Keras `PolynomialDecay`; Transformers `get_polynomial_decay_schedule_with_warmup`."""
    return _between(schedule, (1 - done / length) ** schedule.power)


def _cosine(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Keras `CosineDecay`, alpha = end / peak; Transformers `get_cosine_schedule_with_warmup`."""
    return _between(schedule, _half_wave(done / length, m))


def _cosine_with_restarts(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Transformers `get_cosine_with_hard_restarts_schedule_with_warmup` (SGDR, 1608.03983).

    The position in the cycle is computed in integers: in floating point, a restart could come one
    step late.
    """
    cycle = _half_wave(done * schedule.num_cycles % length / length, m)
    return m.where(done == length, schedule.end_learning_rate, _between(schedule, cycle))


def _inverse_sqrt(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Transformers `get_inverse_sqrt_schedule`: peak × sqrt(warmup / step) after the warmup."""
    timescale = schedule.warmup_steps or _TIMESCALE_WITHOUT_WARMUP
    return schedule.learning_rate * m.sqrt(timescale / (timescale + done))


def _exponential(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Keras `ExponentialDecay` with `decay_steps` of the whole length."""
    return schedule.learning_rate * schedule.decay_rate ** (done / length)


def _piecewise_constant(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Keras `PiecewiseConstantDecay`, whose boundaries name the last step of a piece."""
    rate: Any = schedule.learning_rate
    for start, next_rate in schedule.boundaries:
        rate = m.where(schedule.warmup_steps + done >= start, next_rate, rate)
    return rate


def _warmup_stable_decay(schedule: Schedule, done: Any, length: int, m: Arithmetic) -> Any:
    """Transformers `get_wsd_schedule` with its cosine decay (MiniCPM, 2404.06395)."""
    decayed = m.maximum(done - (length - schedule.decay_steps), 0)
    decay = _between(schedule, _half_wave(decayed / max(1, schedule.decay_steps), m))
    return m.where(decayed <= 0, schedule.learning_rate, decay)


def _half_wave(progress: Any, m: Arithmetic) -> Any:
    return 0.5 * (1 + m.cos(math.pi * progress))


def _between(schedule: Schedule, share: Any) -> Any:
    end = schedule.end_learning_rate
    return end + (schedule.learning_rate - end) * share


_CURVES: dict[str, Callable[[Schedule, Any, int, Arithmetic], Any]] = {
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
