"""The parameters that advice changes: within bounds, and never back to an earlier value."""

from __future__ import annotations

import math
from typing import Any

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.build_optimizer.checks import read_boundaries
from kfp_finetune.components.judgement.facts import Facts

STEP = 4.0  # a lower rate is that many times as low
# Multiples of the usual rate: a rate outside of them is replaced by the usual one.
_LOW, _HIGH = 0.6, 1.5
_WARMUP, _NORM = 0.1, 1.0  # the advised warmup_ratio and max_grad_norm
# Warmup is only advised if the schedule leaves room for it: shares of the steps, with a margin for
# rounding.
_FIRST_BOUNDARY, _LONGEST_DECAY = 0.3, 0.8


def lower_rate(rate: float, usual: float) -> float:
    """The usual rate if that is clearly lower, else a quarter of the rate.

    Args:
        rate: The highest rate of the training.
        usual: The usual rate.
    """
    return usual if rate > _HIGH * usual else rate / STEP


def steadier_options(optimizer: OptimizerConfig) -> dict[str, Any]:
    """The options of warmup and gradient clipping, each unless the training had it."""
    options: dict[str, Any] = {}
    if _has_room_for_warmup(optimizer.schedule):
        options["warmup_ratio"] = _WARMUP
    if optimizer.max_grad_norm is None:
        options["max_grad_norm"] = _NORM
    return options


def _has_room_for_warmup(schedule: Schedule) -> bool:
    """Return True if there is no warmup yet, and the other parts of the schedule leave room."""
    steps = schedule.num_train_steps
    first = schedule.boundaries[0][0] if schedule.boundaries else steps
    return (
        not schedule.warmup_steps
        and steps >= 1 / _WARMUP
        and first >= _FIRST_BOUNDARY * steps
        and schedule.decay_steps <= _LONGEST_DECAY * steps
        and schedule.num_cycles <= steps / 2
    )


def rate_options(facts: Facts, wanted: float) -> dict[str, Any]:
    """The options of a peak rate, within the bounds of the optimizer and of the rates tried.

    The rate of a schedule that rises starts as far below its peak as before.

    Args:
        facts: The training.
        wanted: The highest rate of the next training.
    """
    schedule = facts.model.optimizer.schedule
    start = schedule.learning_rate / facts.planned_rate
    wanted, low, high = (start * rate for rate in (wanted, *facts.rate_bounds))
    for run in facts.tried:
        advised = advised_rate(run)
        if advised > run.learning_rate:
            low = max(low, run.learning_rate)
        elif advised < run.learning_rate:
            high = min(high, run.learning_rate)
    if not low < wanted < high and facts.tried:
        near = low if wanted <= low else high
        wanted = math.sqrt(near * min(max(schedule.learning_rate, low), high))
    wanted = min(max(wanted, low), high)
    rate = float(f"{wanted:.0e}")  # one digit, unless that reaches a bound
    if not low < rate < high:
        rate = float(f"{wanted:.1e}")
    options: dict[str, Any] = {"learning_rate": rate}
    if schedule.end_learning_rate > rate:
        options["end_learning_rate"] = 0.0
    if schedule.boundaries:
        factor = rate / schedule.learning_rate
        options["lr_boundaries"] = ",".join(
            f"{share:.4g}:{min(rate, float(f'{value * factor:.3g}')):g}"
            for share, value in _pieces(facts.model.optimizer)
        )
    return options


def _pieces(optimizer: OptimizerConfig) -> list[tuple[float, float]]:
    """The share of the steps at which each later piece begins, and its rate."""
    if given := optimizer.parameters.get("lr_boundaries"):
        return read_boundaries(given)
    schedule = optimizer.schedule
    return [(start / schedule.num_train_steps, rate) for start, rate in schedule.boundaries]


def length_options(facts: Facts, factor: float) -> dict[str, Any]:
    """The options of a longer or a shorter training.

    A longer one has at least the usual length, but stays shorter than earlier runs that were too
    long; empty if that leaves no longer length.

    Args:
        facts: The training.
        factor: How many times as long.
    """
    model = facts.model
    epochs = factor * model.num_train_epochs
    if factor > 1:
        epochs = max(epochs, facts.usual_epochs)
        shortened = [
            run.num_train_steps / model.steps_per_epoch
            for run in facts.tried
            if advised_steps(run, facts) < run.num_train_steps
        ]
        if (limit := min(shortened, default=math.inf)) <= epochs:
            epochs = math.floor(math.sqrt(model.num_train_epochs * limit))
            if not model.num_train_epochs < epochs < limit:
                return {}
    if "max_steps" in (model.parameters or {}):
        return {"max_steps": math.ceil(round(epochs * model.steps_per_epoch, 6))}
    return {"num_train_epochs": math.ceil(round(epochs, 6))}


def usual_length_options(facts: Facts) -> dict[str, Any]:
    """The options of the usual length; empty if the training was not shorter."""
    epochs = facts.model.num_train_epochs
    if epochs >= facts.usual_epochs:
        return {}
    return length_options(facts, facts.usual_epochs / epochs)


def is_too_high(facts: Facts) -> bool:
    """Return True if the rate is clearly above the usual one."""
    return facts.rate > _HIGH * facts.usual_rate


def is_far(facts: Facts) -> bool:
    """Return True if the rate is clearly above or below the usual one."""
    return not _LOW <= facts.rate / facts.usual_rate <= _HIGH


def may_rise(facts: Facts) -> bool:
    """Return True if the rate is below the usual one, and advice has not lowered it before."""
    return facts.planned_rate < _LOW * facts.usual_rate and not was_lowered(facts)


def was_lowered(facts: Facts) -> bool:
    """Return True if advice has lowered the rate before."""
    return any(advised_rate(run) < run.learning_rate for run in facts.tried)


def advised_rate(run: Tried) -> float:
    """The rate that was advised after a run; that of the run if none was."""
    return float(run.options.get("learning_rate", run.learning_rate))


def advised_steps(run: Tried, facts: Facts) -> float:
    """The number of steps that was advised after a run; that of the run if none was."""
    epochs = run.options.get("num_train_epochs")
    steps = None if epochs is None else float(epochs) * facts.model.steps_per_epoch
    return float(run.options.get("max_steps", steps or run.num_train_steps))
