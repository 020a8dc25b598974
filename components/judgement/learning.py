"""Whether a model has learned something, and whether its test split can show it."""

from __future__ import annotations

import math

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.counts import counted
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.number_text import number_text
from kfp_finetune.components.tasks.results import LOWER_LOSS, beats_baseline

# With fewer examples, a score that is no better than a constant answer's is not conclusive.
_FEWEST_EXAMPLES = 20


def cannot_tell(facts: Facts) -> str:
    """Why a score that is no better than a constant answer's says nothing about the model.

    Where a constant answer is always right, a perfect model has the same score. On few examples, a
    good model may have it by chance: on fewer than 20, or if the interval reaches halfway from the
    score of a constant answer to the best one.

    Returns:
        The reason, as a clause; empty if the score is conclusive.
    """
    metrics = facts.metrics
    if facts.has_one_answer:
        return f"a constant answer is right for every example of the {metrics.split} split"
    # The accuracy of a constant answer has an interval, too; its correlation has none. The best
    # score is 1, which is no measure for an error.
    names = ("matthews_correlation", "r2", facts.kind.metric)
    known = metrics.intervals.keys() - LESS_IS_BETTER
    name = next((name for name in names if name in known), "")
    constant = metrics.baseline.get(name, 0.0)
    _, high = metrics.intervals.get(name, (constant, constant))
    if metrics.num_examples >= _FEWEST_EXAMPLES and high < (1 + constant) / 2:
        return ""
    few = counted(metrics.num_examples, f"{metrics.split} example")
    return f"on {few}, this model cannot be distinguished from a constant answer"


def losses_of_chance(facts: Facts) -> str:
    """Whether the losses show that nothing was learned, whatever the score is.

    A new head may score better than a constant answer by chance, for example if it takes every word
    for an entity. Its losses are not lower.

    Returns:
        The finding, as a clause; empty if a loss is clearly below that of a constant answer, or if
        the latter is not known.
    """
    constant, curves = facts.model.constant_loss, facts.curves
    if constant is None or not curves.has_enough or curves.end < _clearly_below(constant):
        return ""
    is_low = facts.losses.lowest_validation < _clearly_below(constant)
    if facts.losses.is_plain and (is_low or beats_baseline(facts.metrics, "loss")):
        return ""
    return (
        f"the training loss ended at {number_text(curves.end)}, and that of a constant answer is"
        f" {number_text(constant)}"
    )


def validation_of_chance(facts: Facts) -> str:
    """Whether the validation losses show that nothing was learned, if the score is inconclusive.

    Returns:
        The finding, as a clause; empty if one of them is clearly below that of a constant answer,
        if the latter is not known, or if there are fewer than 20 validation rows.
    """
    rows = facts.model.num_validation_examples or 0
    constant, lowest = facts.losses.constant, facts.losses.lowest_validation
    if (
        rows < _FEWEST_EXAMPLES
        or not (math.isfinite(lowest) and math.isfinite(constant))
        or lowest < _clearly_below(constant)
    ):
        return ""
    return (
        f"the lowest validation loss is {number_text(lowest)}, and that of a constant answer is"
        f" {number_text(constant)}"
    )


def _clearly_below(constant: float) -> float:
    return (1 - LOWER_LOSS) * constant
