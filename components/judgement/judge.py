"""The verdict on a training: its kind, the finding, and the advice that follows.

The rules are those of docs/verdicts.md, in this order; the first one that applies decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from kfp_finetune.components.artifacts.verdict import Kind, RareScores, Verdict
from kfp_finetune.components.counts import counted
from kfp_finetune.components.judgement import advice
from kfp_finetune.components.judgement.advice import Advice
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.number_text import count_text, number_text, rate_text

# Shares of the loss of a constant answer.
_BLOWN_UP = 1.5
_JUMPED = 0.3
_POOR = 0.4
_ROOM = 0.15
_ROOM_IN_TRAINING = 0.1
_WORTH_IT = 0.05  # a fall of the loss, or a rise of a score, that is worth training for
# Of the lowest validation loss.
_ROSE = 0.05
# Of the usual rate.
_FAR_TOO_LOW = 1 / 8
FAR_TOO_HIGH = 2.5

_Found = tuple[Kind, str, Advice]


def judge(facts: Facts) -> Verdict:
    """Judge a training.

    Args:
        facts: The training and its scores.

    Returns:
        The verdict. The same facts give the same verdict.
    """
    rules: tuple[Callable[[Facts], _Found | None], ...] = (
        _other_data,
        _diverged,
        _nothing_learned,
        _too_few_steps,
        _too_high,
        _overfitted,
        _undertrained,
    )
    kind, finding, advised = next(
        (found for rule in rules if (found := rule(facts)) is not None), _healthy(facts)
    )
    return Verdict(
        kind=kind,
        finding=finding,
        advice=advised.sentence,
        options=dict(advised.options),
        learning_rate=facts.rate,
        num_train_steps=facts.model.num_train_steps,
        weighting=facts.weighting,
        rare_labels=[
            RareScores(id=label.id, recall=label.recall, f1=label.f1)
            for label in facts.metrics.rare_labels
        ],
        tried=list(facts.tried),
    )


def _other_data(facts: Facts) -> _Found | None:
    """A score on data that the model was not trained for is no judgement of its training."""
    if not facts.on_other_data:
        return None
    if facts.result.learned:
        return "healthy", "On this data, the model is better than a constant answer.", Advice()
    return (
        "nothing learned",
        "On this data, the model is no better than a constant answer.",
        Advice("Compare its texts and labels with those of the training data."),
    )


def _diverged(facts: Facts) -> _Found | None:
    curves = facts.curves
    if facts.model.diverged_at is not None:
        step = count_text(facts.model.diverged_at)
        finding = f"Training diverged: the loss or gradient of step {step} was not finite."
        return "diverged", finding, advice.calmer(facts)
    if curves.not_finite:
        finding = f"Training diverged: {count_text(curves.not_finite)} losses were not finite."
        return "diverged", finding, advice.calmer(facts)
    if not len(curves.losses):
        return None
    end, lowest, whole = curves.end, curves.lowest, facts.whole_loss
    blown_up = end > _BLOWN_UP * max(curves.start, facts.constant_training_loss)
    jumped = end - lowest > _JUMPED * whole and end > 1.5 * lowest
    if not (blown_up or (jumped and curves.has_enough)):
        return None
    fell = f"had fallen to {number_text(lowest)}" if jumped else f"was {number_text(curves.start)}"
    finding = f"Training diverged: the loss {fell} and ended at {number_text(end)}."
    return "diverged", finding, advice.calmer(facts)


def _nothing_learned(facts: Facts) -> _Found | None:
    """The score decides, whatever the loss did."""
    if facts.result.learned:
        return None
    kind = facts.kind
    value = facts.metrics.metrics.get(kind.metric)
    constant = facts.metrics.baseline.get(kind.metric)
    finding = "Nothing was learned: the score is within noise of a constant answer's"
    if value is not None and constant is not None:
        finding += (
            f" ({kind.metric_name} {kind.metric_text(value)},"
            f" constant {kind.metric_text(constant)})"
        )
    return "nothing learned", finding + ".", advice.learn(facts)


def _too_few_steps(facts: Facts) -> _Found | None:
    if facts.curves.has_enough:
        return None
    made = len(facts.curves.losses)
    return "unknown", f"With {count_text(made)} logged steps, the curves tell nothing.", Advice()


def _too_high(facts: Facts) -> _Found | None:
    end, whole = facts.curves.end, facts.whole_loss
    if facts.rate <= FAR_TOO_HIGH * facts.usual_rate or end <= _POOR * whole:
        return None
    finding = (
        f"The learning rate is too high: at {rate_text(facts.rate)} the training loss only fell"
        f" to {number_text(end)}; {number_text(whole)} is a constant answer's."
    )
    return "too high", finding, advice.calmer(facts)


def _overfitted(facts: Facts) -> _Found | None:
    """The validation loss rose, and the score gained nothing by it."""
    checks = facts.curves.checks
    if len(checks) < 2 or facts.has_kept_best or facts.model.best_step is not None:
        return None
    step, _, best = min(checks, key=lambda check: check[2]["loss"])
    last = checks[-1][2]
    if last["loss"] <= (1 + _ROSE) * best["loss"] or _gained(facts, best, last):
        return None
    epochs = step / facts.model.steps_per_epoch
    finding = (
        f"Overfitted: the validation loss was lowest, {number_text(best['loss'])}, after epoch"
        f" {epochs:.3g} and rose to {number_text(last['loss'])}, and"
        f" {facts.kind.metric_name} did not improve."
    )
    return "overfitted", finding, advice.stop_earlier(facts, epochs)


def _gained(facts: Facts, best: Mapping[str, float], last: Mapping[str, float]) -> bool:
    """Return True if the headline metric rose beyond noise after the lowest validation loss."""
    metric = facts.kind.metric
    if metric not in best or metric not in last:
        return False
    gain = last[metric] - best[metric]
    return (-gain if facts.kind.less_is_better else gain) > facts.noise / 2


def _undertrained(facts: Facts) -> _Found | None:
    curves, model = facts.curves, facts.model
    stopped = model.stopped_at is not None or facts.has_kept_best
    whole = facts.whole_loss
    if stopped or curves.end <= _ROOM_IN_TRAINING * whole or facts.longer_was_worse:
        return None
    level = curves.checks[-1][2]["loss"] if curves.checks else curves.end
    constant = facts.constant_loss if math.isfinite(facts.constant_loss) else curves.start
    if not curves.checks:  # training losses may be weighted or focal, unlike validation losses
        constant = whole
    room, worth, trend = level - _ROOM * constant, _WORTH_IT * constant, curves.fall(constant)
    falling = room > 0 and trend.expected(2) > worth
    longer = _still_rising(facts)
    if falling:
        longer = min(trend.times_until(worth), trend.times_to(room))
    if not longer:
        return None
    # Beyond that, the training loss leaves no room.
    left = curves.end - _ROOM_IN_TRAINING * whole
    longer = min(longer, curves.training_fall().times_to(left))
    what = "validation loss" if curves.checks else "training loss"
    if falling:
        reason = (
            f"the {what} was still falling for every step that the learning rate allowed; it ended"
            f" at {number_text(level)}, and a constant answer's is {number_text(constant)}"
        )
    else:
        reason = f"{facts.kind.metric_name} on the validation split was still rising"
    if facts.rate < _FAR_TOO_LOW * facts.usual_rate:
        finding = (
            f"The learning rate is too low: {rate_text(facts.rate)}, and"
            f" {rate_text(facts.usual_rate)} is usual for this model; {reason}."
        )
        return "too low", finding, advice.more(facts, longer)
    return "undertrained", f"Undertrained: {reason}.", advice.more(facts, longer)


def _still_rising(facts: Facts) -> int:
    """How many times as long the headline metric would go on rising; 0 if it does not rise."""
    kind = facts.kind
    if kind.metric_top is None or kind.less_is_better:
        return 0
    start = facts.metrics.baseline.get(kind.metric, 0.0)
    trend, worth = facts.curves.rise(kind.metric, start), _WORTH_IT * (kind.metric_top - start)
    rising = trend.latest > facts.noise / 2 and trend.expected(2) > worth
    return trend.times_until(worth) if rising else 0


def _healthy(facts: Facts) -> _Found:
    finding = "Healthy: the score is better than a constant answer's, and the loss levelled out."
    if facts.has_kept_best:
        epochs = (facts.model.best_step or 0) / facts.model.steps_per_epoch
        finding = (
            "Healthy: the score is better than a constant answer's, and the weights with the best"
            f" validation score, of epoch {epochs:.3g}, were kept."
        )
    if lost := facts.lost_labels:
        finding = finding.removesuffix(".") + f"; but {counted(lost, 'rare label')}"
        finding += f" {'has' if lost == 1 else 'have'} recall 0."
        return "healthy", finding, advice.weight_labels()
    return "healthy", finding, Advice()
