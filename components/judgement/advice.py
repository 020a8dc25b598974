"""Advice: the parameters to change, within bounds, and never back to an earlier value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.artifacts.optimizer_config import (
    OptimizerConfig,
    Schedule,
    usual_rates,
)
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.build_optimizer.checks import read_boundaries
from kfp_finetune.components.build_optimizer.schedules import highest_rate
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.repeating import as_options
from kfp_finetune.components.tasks.class_weights import BALANCED

# Multiples of the usual rate: a rate outside of them is replaced by the usual one.
_LOW, _HIGH = 0.6, 1.5
_STEP = 4.0  # a lower rate is that many times as low
_WARMUP, _NORM = 0.1, 1.0  # the advised warmup_ratio and max_grad_norm
PATIENCE = 3  # the lowest early_stopping_patience that is advised
# Warmup is only advised if the schedule leaves room for it: shares of the steps, with a margin for
# rounding.
_FIRST_BOUNDARY, _LONGEST_DECAY = 0.3, 0.8
# A training of fewer steps that learned nothing is repeated with at most this many times as many.
_FEW_STEPS, _MUCH_LONGER = 100, 4.0


@dataclass(frozen=True)
class Advice:
    """The advice for the next training.

    Attributes:
        sentence: As a sentence; empty if nothing is to be changed.
        options: The parameters to change.
    """

    sentence: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


_CHECK_DATA = Advice(
    "Another rate or length is unlikely to help: check that the labels belong to the texts."
)
_NOTHING_TO_LOWER = Advice(
    "The rate cannot be lowered further, and warmup and gradient clipping are on: check the data."
)


def calmer(facts: Facts) -> Advice:
    """Lower the rate; where it was just raised, warm up and clip gradients first."""
    optimizer = facts.model.optimizer
    options = _steadier(optimizer)
    raised = bool(facts.tried) and _advised_rate(facts.tried[-1]) > facts.tried[-1].learning_rate
    if not (raised and options):
        lower = _rate(facts, _lower_rate(facts.rate, facts.usual_rate))
        if lower["learning_rate"] < optimizer.schedule.learning_rate:
            options = lower | options
    if not options:
        return _NOTHING_TO_LOWER
    if "learning_rate" not in options:
        return _advice("Keep updates small", options)
    if _is_far(facts):
        options |= _usual_length(facts)
    return _advice("Train with a lower learning rate", options)


def after_divergence(optimizer: OptimizerConfig, hidden_size: int) -> dict[str, Any]:
    """The options to change where training ended because its loss was not finite.

    Args:
        optimizer: The optimizer of the training.
        hidden_size: Width of the encoder; 0: unknown.
    """
    schedule, momentum = optimizer.schedule, optimizer.momentum
    usual = usual_rates(optimizer.name, momentum)
    peak = highest_rate(schedule, schedule.num_train_steps + 1)
    lower = _lower_rate(peak, choose_learning_rate(hidden_size, optimizer.name, momentum))
    lower = min(max(lower, usual.lowest), usual.highest)
    lower = float(f"{lower * schedule.learning_rate / peak:.1e}")
    steadier = _steadier(optimizer)
    return {"learning_rate": lower} | steadier if lower < schedule.learning_rate else steadier


def _lower_rate(rate: float, usual: float) -> float:
    return usual if rate > _HIGH * usual else rate / _STEP


def learn(facts: Facts) -> Advice:
    """Advice where nothing was learned: the usual rate, more steps, or to check the data."""
    model, rate = facts.model, facts.model.optimizer.schedule.learning_rate
    if facts.rate > _HIGH * facts.usual_rate:
        return calmer(facts)
    if facts.short_patience and not _may_rise(facts):
        return wait_longer(facts)  # more epochs would not be made
    if _may_rise(facts) or model.num_train_epochs < facts.usual_epochs:
        return more(facts)
    if (steps := model.num_train_steps) < _FEW_STEPS:
        # Large batches, or so few rows that all epochs are a few steps.
        return more(facts, min(_MUCH_LONGER, math.ceil(_FEW_STEPS / steps)))
    steadier = _steadier(model.optimizer)
    raised = any(_advised_rate(run) > run.learning_rate for run in facts.tried)
    if "warmup_ratio" in steadier and not (raised or _was_lowered(facts)):
        lower = _rate(facts, facts.planned_rate / _STEP)
        if lower["learning_rate"] < rate:
            return _advice("Warm up the learning rate", lower | steadier)
    return _CHECK_DATA


def more(facts: Facts, longer: float = 2.0) -> Advice:
    """Train with the usual rate if this one is lower, else for longer.

    Args:
        facts: The training.
        longer: How many times as long.
    """
    if _may_rise(facts):
        options = _rate(facts, facts.usual_rate) | _usual_length(facts)
    else:
        options = _length(facts, longer)
    if not options:
        return _CHECK_DATA
    what = "with a higher learning rate" if "learning_rate" in options else "for longer"
    return _advice(f"Train {what}", options)


def stop_earlier(facts: Facts, epochs: float, better: str = "") -> Advice:
    """Keep the best weights; train for fewer epochs if the loss was lowest early, else stop early.

    Args:
        facts: The training.
        epochs: The epochs until the lowest validation loss.
        better: The headline metric if it was better at the end, even within noise: the weights
            with the lowest loss might be worse.
    """
    options: dict[str, Any] = {"load_best_model_at_end": True}
    enough = max(math.ceil(2 * epochs), min(facts.usual_epochs, 3))
    lengthened = any(_advised_steps(run, facts) > run.num_train_steps for run in facts.tried)
    steps, schedule = enough * facts.model.steps_per_epoch, facts.model.optimizer.schedule
    fits = steps > 2 * (schedule.warmup_steps + schedule.num_cycles)  # neither is scaled with it
    shorter = enough < facts.model.num_train_epochs / 2 and fits and not lengthened
    if shorter:
        options = _length(facts, enough / facts.model.num_train_epochs) | options
    if facts.weighting and "macro_f1" in facts.kind.training_metrics:
        # The validation loss is not weighted: it is lowest before rare labels are learned.
        options["metric_for_best_model"] = "macro_f1"
    elif better:
        options["metric_for_best_model"] = better
    is_given = "early_stopping_patience" in (facts.model.parameters or {})
    metric = options.get("metric_for_best_model", "loss")
    if not shorter and not is_given and _keeps_best(facts, metric):
        options["early_stopping_patience"] = PATIENCE
    return _advice("Keep the weights of the best evaluation", options)


def _keeps_best(facts: Facts, metric: str) -> bool:
    """Return True if early stopping by this metric would have come after the best evaluation.

    An accuracy may stay at that of a constant answer for many evaluations before it rises.
    """
    sign = 1 if metric in LESS_IS_BETTER else -1
    values = [sign * check[2][metric] for check in facts.curves.checks if metric in check[2]]
    best, waited = math.inf, 0
    for value in values:
        best, waited = (value, 0) if value < best else (best, waited + 1)
        if waited == PATIENCE:
            break
    return best == min(values, default=math.nan)


def wait_longer(facts: Facts) -> Advice:
    """Stop early only after at least twice as many evaluations without improvement."""
    patience = max(PATIENCE, 2 * facts.short_patience)
    return _advice("Stop early later", {"early_stopping_patience": patience})


def weight_labels(facts: Facts) -> Advice:
    """Weight rare labels that are never found."""
    return _advice(f"Weight rare {facts.kind.class_name}s", {"class_weights": BALANCED})


def _steadier(optimizer: OptimizerConfig) -> dict[str, Any]:
    """Warmup and gradient clipping, each unless the training had it."""
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


def _rate(facts: Facts, wanted: float) -> dict[str, Any]:
    """The options of a peak rate, within the bounds of the optimizer and of the rates tried.

    The rate of a schedule that rises starts as far below its peak as before.
    """
    schedule = facts.model.optimizer.schedule
    start = schedule.learning_rate / facts.planned_rate
    wanted, low, high = (start * rate for rate in (wanted, *facts.rate_bounds))
    for run in facts.tried:
        advised = _advised_rate(run)
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


def _length(facts: Facts, factor: float) -> dict[str, Any]:
    """The options of a training that is `factor` times as long.

    A longer one has at least the usual length, but stays shorter than earlier runs that were too
    long; empty if that leaves no longer length.
    """
    model = facts.model
    epochs = factor * model.num_train_epochs
    if factor > 1:
        epochs = max(epochs, facts.usual_epochs)
        shortened = [
            run.num_train_steps / model.steps_per_epoch
            for run in facts.tried
            if _advised_steps(run, facts) < run.num_train_steps
        ]
        if (limit := min(shortened, default=math.inf)) <= epochs:
            epochs = math.floor(math.sqrt(model.num_train_epochs * limit))
            if not model.num_train_epochs < epochs < limit:
                return {}
    if "max_steps" in (model.parameters or {}):
        return {"max_steps": math.ceil(round(epochs * model.steps_per_epoch, 6))}
    return {"num_train_epochs": math.ceil(round(epochs, 6))}


def _usual_length(facts: Facts) -> dict[str, Any]:
    """The options of the usual length; empty if the training was not shorter."""
    epochs = facts.model.num_train_epochs
    if epochs >= facts.usual_epochs:
        return {}
    return _length(facts, facts.usual_epochs / epochs)


def _is_far(facts: Facts) -> bool:
    return not _LOW <= facts.rate / facts.usual_rate <= _HIGH


def _may_rise(facts: Facts) -> bool:
    """Return True if the rate is below the usual one, and advice has not lowered it before."""
    return facts.planned_rate < _LOW * facts.usual_rate and not _was_lowered(facts)


def _was_lowered(facts: Facts) -> bool:
    """Return True if advice has lowered the rate before."""
    return any(_advised_rate(run) < run.learning_rate for run in facts.tried)


def _advised_rate(run: Tried) -> float:
    return float(run.options.get("learning_rate", run.learning_rate))


def _advised_steps(run: Tried, facts: Facts) -> float:
    epochs = run.options.get("num_train_epochs")
    steps = None if epochs is None else float(epochs) * facts.model.steps_per_epoch
    return float(run.options.get("max_steps", steps or run.num_train_steps))


def _advice(what: str, options: Mapping[str, Any]) -> Advice:
    """Advice in words, with its options."""
    return Advice(f"{what}: {' '.join(as_options(options))}.", options)
