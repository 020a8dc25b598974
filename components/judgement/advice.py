"""Advice: parameters to change, within the bounds of the optimizer and never back again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_finetune.components.artifacts.optimizer_config import USUAL_RATES, OptimizerConfig
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.repeating import as_options
from kfp_finetune.components.tasks.class_weights import BALANCED

# Beyond these multiples of the usual rate, advice goes to the usual rate at once.
_LOW, _HIGH = 0.6, 1.5
_STEP = 4.0  # otherwise, a rate is divided by this
_WARMUP, _NORM, _PATIENCE = 0.1, 1.0, 3


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
    "Learning rate and length are usual for this model: check that the labels belong to the texts."
)


def calmer(facts: Facts) -> Advice:
    """Lower the rate; where it was just raised, warm up and clip gradients first."""
    optimizer = facts.model.optimizer
    options = _steadier(optimizer)
    raised = bool(facts.tried) and _advised_rate(facts.tried[-1]) > facts.tried[-1].learning_rate
    if not (raised and options):
        lower = _rate(facts, _lower_rate(facts.rate, facts.usual_rate))
        if lower["learning_rate"] < facts.rate:
            options = lower | options
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
    rate, usual = optimizer.schedule.learning_rate, USUAL_RATES[optimizer.name]
    lower = _lower_rate(rate, choose_learning_rate(hidden_size, optimizer.name))
    lower = float(f"{min(max(lower, usual.lowest), usual.highest):.1e}")
    steadier = _steadier(optimizer)
    return {"learning_rate": lower} | steadier if lower < rate else steadier


def _lower_rate(rate: float, usual: float) -> float:
    return usual if rate > _HIGH * usual else rate / _STEP


def learn(facts: Facts) -> Advice:
    """Advice where nothing was learned: the usual rate, more steps, or a look at the data."""
    rate, usual = facts.rate, facts.usual_rate
    if rate > _HIGH * usual:
        return calmer(facts)
    if rate < _LOW * usual:
        return more(facts)
    if facts.model.num_train_epochs < facts.usual_epochs:
        return more(facts)
    steadier = _steadier(facts.model.optimizer)
    if "warmup_ratio" in steadier and not any(
        _advised_rate(run) > run.learning_rate for run in facts.tried
    ):
        return _advice("Warm up the learning rate", _rate(facts, rate / _STEP) | steadier)
    return _CHECK_DATA


def more(facts: Facts, longer: float = 2.0) -> Advice:
    """Train with the usual rate if this one is lower, else for longer.

    Args:
        facts: The training.
        longer: How many times as long.
    """
    options: dict[str, Any] = {}
    rate, usual = facts.rate, facts.usual_rate
    lowered = any(_advised_rate(run) < run.learning_rate for run in facts.tried)
    if rate < _LOW * usual and not lowered:
        options |= _rate(facts, usual)
    if not options:
        options |= _length(facts, longer)
    elif facts.model.num_train_epochs < facts.usual_epochs:
        options |= _usual_length(facts)
    what = "with a higher learning rate" if "learning_rate" in options else "for longer"
    return _advice(f"Train {what}", options)


def stop_earlier(facts: Facts, epochs: float) -> Advice:
    """Keep the best weights, and decay the rate over fewer epochs where most were too many.

    Args:
        facts: The training.
        epochs: The epochs until the lowest validation loss.
    """
    options: dict[str, Any] = {"load_best_model_at_end": True}
    enough = max(math.ceil(2 * epochs), min(facts.usual_epochs, 3))
    lengthened = any(
        _advised_steps(run, facts) > run.num_train_steps for run in facts.tried if run.options
    )
    if enough < facts.model.num_train_epochs / 2 and not lengthened:
        options = _length(facts, enough / facts.model.num_train_epochs) | options
    elif "early_stopping_patience" not in (facts.model.parameters or {}):
        options["early_stopping_patience"] = _PATIENCE
    return _advice("Keep the weights of the best evaluation", options)


def weight_labels() -> Advice:
    """Weight rare labels that are never found."""
    return _advice("Weight rare labels", {"class_weights": BALANCED})


def _steadier(optimizer: OptimizerConfig) -> dict[str, Any]:
    """Warmup and clipping, where the training had none."""
    options: dict[str, Any] = {}
    schedule = optimizer.schedule
    if not schedule.warmup_steps and schedule.num_train_steps >= 1 / _WARMUP:
        options["warmup_ratio"] = _WARMUP
    if optimizer.max_grad_norm is None:
        options["max_grad_norm"] = _NORM
    return options


def _rate(facts: Facts, wanted: float) -> dict[str, Any]:
    """The options of a peak rate: within the bounds, and between the rates that were tried."""
    low, high = facts.rate_bounds
    for run in facts.tried:
        advised = _advised_rate(run)
        if advised > run.learning_rate:
            low = max(low, run.learning_rate)
        elif advised < run.learning_rate:
            high = min(high, run.learning_rate)
    if not low < wanted < high and facts.tried:
        near = low if wanted <= low else high
        wanted = math.sqrt(near * min(max(facts.rate, low), high))
    wanted = min(max(wanted, low), high)
    rate = float(f"{wanted:.0e}")  # as people write it, unless that is a rate that was tried
    if not low < rate < high:
        rate = float(f"{wanted:.1e}")
    schedule = facts.model.optimizer.schedule
    options: dict[str, Any] = {"learning_rate": rate}
    if schedule.end_learning_rate > rate:
        options["end_learning_rate"] = 0.0
    if schedule.boundaries:
        steps, factor = schedule.num_train_steps, rate / schedule.learning_rate
        options["lr_boundaries"] = ",".join(
            f"{start / steps:.4g}:{value * factor:.3g}" for start, value in schedule.boundaries
        )
    return options


def _length(facts: Facts, factor: float) -> dict[str, Any]:
    """The options of a training that many times as long."""
    model = facts.model
    if "max_steps" in (model.parameters or {}):
        return {"max_steps": math.ceil(factor * model.num_train_steps)}
    epochs = factor * model.num_train_epochs
    if factor > 1:
        epochs = max(epochs, facts.usual_epochs)
    return {"num_train_epochs": math.ceil(round(epochs, 6))}


def _usual_length(facts: Facts) -> dict[str, Any]:
    """The options of the usual length, where the training was shorter."""
    epochs = facts.model.num_train_epochs
    if epochs >= facts.usual_epochs:
        return {}
    return _length(facts, facts.usual_epochs / epochs)


def _is_far(facts: Facts) -> bool:
    return not _LOW <= facts.rate / facts.usual_rate <= _HIGH


def _advised_rate(run: Tried) -> float:
    return float(run.options.get("learning_rate", run.learning_rate))


def _advised_steps(run: Tried, facts: Facts) -> float:
    epochs = run.options.get("num_train_epochs")
    steps = None if epochs is None else float(epochs) * facts.model.steps_per_epoch
    return float(run.options.get("max_steps", steps or run.num_train_steps))


def _advice(what: str, options: Mapping[str, Any]) -> Advice:
    """Advice in words, with its options."""
    if not options:
        return _CHECK_DATA
    return Advice(f"{what}: {' '.join(as_options(options))}.", options)
