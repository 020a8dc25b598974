"""The advice that follows from each verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, usual_rates
from kfp_finetune.components.build_optimizer.schedules import highest_rate
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.options import (
    STEP,
    advised_rate,
    advised_steps,
    is_far,
    is_too_high,
    length_options,
    lower_rate,
    may_rise,
    rate_options,
    steadier_options,
    usual_length_options,
    was_lowered,
)
from kfp_finetune.components.repeating import as_options
from kfp_finetune.components.tasks.class_weights import BALANCED

PATIENCE = 3  # the lowest early_stopping_patience that is advised
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
    options = steadier_options(optimizer)
    raised = bool(facts.tried) and advised_rate(facts.tried[-1]) > facts.tried[-1].learning_rate
    if not (raised and options):
        lower = rate_options(facts, lower_rate(facts.rate, facts.usual_rate))
        if lower["learning_rate"] < optimizer.schedule.learning_rate:
            options = lower | options
    if not options:
        return _NOTHING_TO_LOWER
    if "learning_rate" not in options:
        return _advice("Keep updates small", options)
    if is_far(facts):
        options |= usual_length_options(facts)
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
    lower = lower_rate(peak, choose_learning_rate(hidden_size, optimizer.name, momentum))
    lower = min(max(lower, usual.lowest), usual.highest)
    lower = float(f"{lower * schedule.learning_rate / peak:.1e}")
    steadier = steadier_options(optimizer)
    return {"learning_rate": lower} | steadier if lower < schedule.learning_rate else steadier


def learn(facts: Facts) -> Advice:
    """Advice where nothing was learned: the usual rate, more steps, or to check the data."""
    model, rate = facts.model, facts.model.optimizer.schedule.learning_rate
    if is_too_high(facts):
        return calmer(facts)
    if facts.short_patience and not may_rise(facts):
        return wait_longer(facts)  # more epochs would not be made
    if may_rise(facts) or model.num_train_epochs < facts.usual_epochs:
        return more(facts)
    if (steps := model.num_train_steps) < _FEW_STEPS:
        # Large batches, or so few rows that all epochs are a few steps.
        return more(facts, min(_MUCH_LONGER, math.ceil(_FEW_STEPS / steps)))
    steadier = steadier_options(model.optimizer)
    raised = any(advised_rate(run) > run.learning_rate for run in facts.tried)
    if "warmup_ratio" in steadier and not (raised or was_lowered(facts)):
        lower = rate_options(facts, facts.planned_rate / STEP)
        if lower["learning_rate"] < rate:
            return _advice("Warm up the learning rate", lower | steadier)
    return _CHECK_DATA


def more(facts: Facts, longer: float = 2.0) -> Advice:
    """Train with the usual rate if this one is lower, else for longer.

    Args:
        facts: The training.
        longer: How many times as long.
    """
    if may_rise(facts):
        options = rate_options(facts, facts.usual_rate) | usual_length_options(facts)
    else:
        options = length_options(facts, longer)
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
    lengthened = any(advised_steps(run, facts) > run.num_train_steps for run in facts.tried)
    steps, schedule = enough * facts.model.steps_per_epoch, facts.model.optimizer.schedule
    fits = steps > 2 * (schedule.warmup_steps + schedule.num_cycles)  # neither is scaled with it
    shorter = enough < facts.model.num_train_epochs / 2 and fits and not lengthened
    if shorter:
        options = length_options(facts, enough / facts.model.num_train_epochs) | options
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
    """Weight rare labels that are never found; nothing with several labels per row.

    There, every label has a threshold of its own, and weights cost more than they gain
    (benchmarks/README.md, "Rare labels").
    """
    if facts.kind.activation == "sigmoid":
        return Advice()
    return _advice(f"Weight rare {facts.kind.class_name}s", {"class_weights": BALANCED})


def _advice(what: str, options: Mapping[str, Any]) -> Advice:
    """Advice in words, with its options."""
    return Advice(f"{what}: {' '.join(as_options(options))}.", options)
