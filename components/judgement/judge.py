"""The verdict on a training: its kind, the finding, and the advice that follows.

The rules are those of docs/verdicts.md, in this order; the first one that applies decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from kfp_finetune.components.artifacts.verdict import RareScores, Verdict
from kfp_finetune.components.counts import counted
from kfp_finetune.components.judgement import advice
from kfp_finetune.components.judgement.advice import Advice
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.learning import (
    cannot_tell,
    losses_of_chance,
    validation_of_chance,
)
from kfp_finetune.components.judgement.length import (
    Found,
    ending,
    overfitted,
    stopped_too_soon,
    undertrained,
)
from kfp_finetune.components.number_text import count_text, number_text, rate_text

# Shares of the loss of a constant answer.
_BLOWN_UP = 1.5  # a loss at the end above this has diverged
_JUMPED = 0.3  # a rise by more than this has diverged, if it is also by half
_BY_HALF = 1.5  # of the lowest loss
_POOR = 0.4  # a loss at the end above this is poor
# A multiple of the usual rate.
_FAR_TOO_HIGH = 2.5


def judge(facts: Facts) -> Verdict:
    """Judge a training.

    Args:
        facts: The training and its scores.

    Returns:
        The verdict. The same facts give the same verdict.
    """
    rules: tuple[Callable[[Facts], Found | None], ...] = (
        _other_data,
        _diverged,
        _nothing_learned,
        _too_few_steps,
        _too_high,
        overfitted,
        stopped_too_soon,
        undertrained,
        _too_few_examples,
    )
    found = next((found for rule in rules if (found := rule(facts)) is not None), None)
    kind, finding, advised = found or _healthy(facts)
    return Verdict(
        kind=kind,
        finding=finding,
        advice=advised.sentence,
        options=dict(advised.options),
        learning_rate=facts.model.optimizer.schedule.learning_rate,
        num_train_steps=facts.model.num_train_steps,
        weighting=facts.weighting,
        rare_labels=[
            RareScores(id=label.id, recall=label.recall, f1=label.f1)
            for label in facts.metrics.rare_labels
        ],
        tried=list(facts.tried),
    )


def _other_data(facts: Facts) -> Found | None:
    """A score on other data than the model was trained for says nothing about its training."""
    if not facts.on_other_data:
        return None
    if facts.result.learned:
        return "healthy", "On this data, the model is better than a constant answer.", Advice()
    if reason := cannot_tell(facts):
        return "unknown", f"Unknown: {reason}.", Advice()
    return (
        "nothing learned",
        "On this data, the model is no better than a constant answer.",
        Advice("Compare its texts and labels with those of the training data."),
    )


def _diverged(facts: Facts) -> Found | None:
    clause = _not_finite(facts) or _risen(facts)
    if not clause:
        return None
    return "diverged", f"Training diverged: {clause}.", advice.calmer(facts)


def _not_finite(facts: Facts) -> str:
    """Which loss or gradient was not finite, as a clause; empty if none was."""
    curves = facts.curves
    if facts.model.diverged_at is not None:
        step = count_text(facts.model.diverged_at)
        return f"the loss or gradient of step {step} was not finite"
    if curves.not_finite:
        losses = "loss was" if curves.not_finite == 1 else "losses were"
        return f"{count_text(curves.not_finite)} {losses} not finite"
    if curves.broken_at is not None and facts.model.best_step is None:
        return f"the validation loss after step {count_text(curves.broken_at)} was not finite"
    return ""


def _risen(facts: Facts) -> str:
    """How the training loss rose, as a clause; empty if the rise is no divergence."""
    curves = facts.curves
    if not len(curves.losses):
        return ""
    end, lowest = curves.end, curves.lowest
    levels = curves.start, facts.losses.constant_in_training
    ended = f"and ended at {number_text(end)}"
    if (
        curves.has_enough
        and curves.has_risen
        and end > _BY_HALF * lowest
        and end - lowest > _JUMPED * min(levels)
    ):
        return f"the loss had fallen to {number_text(lowest)} {ended}"
    if end > (_BLOWN_UP + 2 * curves.end_noise) * max(levels):
        return f"the loss began at {number_text(float(curves.losses[0]))} {ended}"
    return ""


def _nothing_learned(facts: Facts) -> Found | None:
    """The losses decide if the score is better than a constant answer's or not conclusive."""
    if facts.result.learned or cannot_tell(facts):
        clause = losses_of_chance(facts)
        if not clause and not facts.result.learned:
            clause = validation_of_chance(facts)
        if not clause:
            return None
        return "nothing learned", f"Nothing was learned: {clause}.", advice.learn(facts)
    kind = facts.kind
    value = facts.metrics.metrics.get(kind.metric)
    constant = facts.metrics.baseline.get(kind.metric)
    finding = "Nothing was learned: the score is no better than a constant answer's"
    if value is not None and constant is not None:
        finding += (
            f" ({kind.metric_name} {kind.metric_text(value)},"
            f" constant {kind.metric_text(constant)})"
        )
    return "nothing learned", finding + ".", advice.learn(facts)


def _too_few_steps(facts: Facts) -> Found | None:
    if facts.curves.has_enough:
        return None
    made = counted(len(facts.curves.losses), "logged step")
    return "unknown", f"Unknown: with {made}, the curves cannot be judged.", Advice()


def _too_high(facts: Facts) -> Found | None:
    # Dropout raises training losses.
    left = min(facts.losses.training_left, facts.losses.validation_left)
    if facts.rate <= _FAR_TOO_HIGH * facts.usual_rate or left <= _POOR:
        return None
    finding = (
        f"The learning rate is too high: it reached {rate_text(facts.rate)}, and"
        f" {rate_text(facts.usual_rate)} is usual for this model; the training loss ended at"
        f" {number_text(facts.curves.end)}"
    )
    if math.isfinite(known := facts.losses.known_in_training):
        finding += f", and a constant answer's is {number_text(known)}"
    return "too high", f"{finding}.", advice.calmer(facts)


def _too_few_examples(facts: Facts) -> Found | None:
    """Nothing is wrong with the curves, and the score is no better than a constant answer's."""
    if facts.result.learned:
        return None
    return "unknown", f"Unknown: {cannot_tell(facts)}.", Advice()


def _healthy(facts: Facts) -> Found:
    finding = f"Healthy: the score is better than a constant answer's, and {ending(facts)}"
    if not (lost := facts.lost_labels):
        return "healthy", f"{finding}.", Advice()
    rare = counted(lost, f"rare {facts.kind.class_name}")
    have = "has" if lost == 1 else "have"
    return "healthy", f"{finding}; but {rare} {have} recall 0.", advice.weight_labels(facts)
