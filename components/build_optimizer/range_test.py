"""The learning-rate range test: find a peak learning rate from the loss under a rising rate.

The rate rises exponentially from far too low to far too high while the model trains (Smith,
1506.01186; the exponential rise is fastai's). A test counts only if its loss gets clearly below
that of a constant answer: a loss that falls to the entropy of the labels has learned their shares
and nothing about the texts. If it is lower from the start, because the head was trained before, it
has to get clearly below that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.optimizer_config import usual_rates
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.number_text import number_text, rate_text

# Steps of a test, and of the longer one that follows if it learned nothing.
STEPS, LONGER_STEPS = 90, 300
# A test trains with rates up to this many times the highest usual one, so that the loss is seen to
# rise.
_BEYOND = 10
_WIDTH = 0.04  # of the smoothing kernel, as a share of the steps
_CLEARLY = 0.05  # a loss this share below the constant answer's, and
_SIGMAS = 3.5  # this many standard errors below it, has learned
_FAR_WORSE = 1.3  # times the loss of knowing nothing


def rising_rate(optimizer: str, steps: int = STEPS, momentum: float = 0.0) -> dict[str, Any]:
    """The parameters of build_optimizer, count_steps and finetune for a test.

    Args:
        optimizer: The optimizer, as `usual_rates` takes it.
        steps: Steps of the test.
        momentum: Momentum of sgd.
    """
    usual = usual_rates(optimizer, momentum)
    return {
        "lr_scheduler_type": "exponential",
        "learning_rate": usual.lowest,
        "decay_rate": usual.highest * _BEYOND / usual.lowest,
        "max_steps": steps,
        "on_divergence": "report",  # the test usually ends with one
    }


@dataclass(frozen=True)
class RangeTest:
    """The result of a range test.

    Attributes:
        learning_rate: The suggested peak, to one digit; None if the model learned nothing.
        reason: The reason, as a sentence without its full stop.
        rates: The rate of every step, shape [steps].
        losses: The losses of these steps.
        smooth: The losses, smoothed.
        best: The index of the lowest smoothed loss.
        constant_loss: The loss of the best constant answer.
        diverged: The index at which the smoothed loss rises above the constant answer's again (if
            nothing was learned: far above it); None if it never does.
    """

    learning_rate: float | None
    reason: str
    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    best: int
    constant_loss: float
    diverged: int | None


def read_range_test(
    records: Sequence[Mapping[str, Any]], constant_loss: float, default: float
) -> RangeTest:
    """Find the peak in the training log of a test.

    It is the geometric mean of the default and of a third of the rate with the lowest loss. Both
    are estimates that may be wrong by a factor of two or three: the test has few steps, in which
    high rates do best (benchmarks/README.md, "Finding a learning rate").

    Args:
        records: As `artifacts.model.write_training_log` documents them.
        constant_loss: The loss of the best constant answer, as the model's manifest has it.
        default: The default rate of the model's size.

    Raises:
        InputError: If the loss is not finite even at the lowest rates.
    """
    steps = [r for r in records if "learning_rate" in r and math.isfinite(r["loss"])]
    if len(steps) < 2:
        raise InputError(
            "the loss of the first steps is not finite",
            where="range test of the learning rate",
            expected="a finite loss at the lowest rates",
            remedy="check the labels: the squares of numbers above 1e18 overflow",
        )
    rates = np.array([r["learning_rate"] for r in steps])
    losses = np.array([r["loss"] for r in steps])
    smooth = smoothed(losses)
    best = int(smooth.argmin())
    reference, name = constant_loss, "that of a constant answer"
    start = float(start_of(losses).mean())
    if start < constant_loss - margin(losses, constant_loss):  # the head was trained before
        reference, name = start, "that at the lowest rates"
    learned = smooth[best] <= reference - margin(losses, reference)
    limit = constant_loss if learned else _FAR_WORSE * max(constant_loss, float(smooth[0]))
    above = np.flatnonzero(smooth[best:] > limit)
    diverged = best + int(above[0]) if len(above) else None
    lowest, name = number_text(smooth[best]), f"{name}, {number_text(reference)}"
    if not learned:
        found = None
        reason = (
            f"the lowest loss, {lowest}, is not clearly below {name}: nothing was learned at any"
            " rate"
        )
    else:
        found = float(f"{math.sqrt(third_of_lowest(rates, smooth, best) * default):.0e}")
        reason = (
            f"the loss was lowest, {lowest}, at a rate of {rate_text(rates[best])}, and clearly"
            f" below {name}; the suggested peak is the geometric mean of a third of that rate and"
            f" the default of {rate_text(default)}"
        )
    return RangeTest(found, reason, rates, losses, smooth, best, constant_loss, diverged)


def smoothed(losses: np.ndarray) -> np.ndarray:
    """The losses, averaged over neighbouring steps with a centred Gaussian kernel.

    A mean over past steps would show every minimum at too high a rate.
    """
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / _deviation(len(losses))) ** 2)
    mean: np.ndarray = weights @ losses / weights.sum(axis=1)
    return mean


def _deviation(steps: int) -> float:
    return max(_WIDTH * steps, 1.0)


def start_of(losses: np.ndarray) -> np.ndarray:
    """The losses of the first third of the steps, whose rates are too low to learn anything."""
    return losses[: max(2, len(losses) // 3)]


def margin(losses: np.ndarray, reference: float) -> float:
    """The required distance of the lowest smoothed loss below another loss.

    The noise is that of the start, in full: where a label is rare, a few batches without it have a
    low loss by chance.

    Args:
        losses: The losses, shape [steps].
        reference: The loss to go below.
    """
    averaged = 2 * math.sqrt(math.pi) * _deviation(len(losses))  # steps that the kernel averages
    noise = float(start_of(losses).std(ddof=1)) / math.sqrt(averaged)
    return max(_CLEARLY * reference, _SIGMAS * noise)


def tenth_of_lowest(rates: np.ndarray, smooth: np.ndarray, best: int) -> float:
    """A tenth of the rate with the lowest loss, which is fastai's `minimum`."""
    return float(rates[best] / 10)


def third_of_lowest(rates: np.ndarray, smooth: np.ndarray, best: int) -> float:
    """A third of the rate with the lowest loss: smoothing without lag puts it lower."""
    return float(rates[best] / 3)


def steepest(rates: np.ndarray, smooth: np.ndarray, best: int) -> float:
    """The rate at which the loss falls fastest, which is fastai's `steep`."""
    return float(rates[np.diff(smooth[: best + 1]).argmin()] if best else rates[0])


def still_falling(rates: np.ndarray, smooth: np.ndarray, best: int) -> float:
    """The largest rate at which the loss still falls half as fast as at the steepest point."""
    slope = np.diff(smooth[: best + 1])
    return float(rates[np.flatnonzero(slope <= slope.min() / 2)[-1]] if best else rates[0])


# The rules that benchmarks/learning_rates.py compares.
RULES: Mapping[str, Callable[[np.ndarray, np.ndarray, int], float]] = {
    "tenth of the lowest": tenth_of_lowest,
    "third of the lowest": third_of_lowest,
    "steepest": steepest,
    "still falling": still_falling,
}
