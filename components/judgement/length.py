"""The rules on the length of a training: overfitted, undertrained, or neither.

They read the validation losses; with fewer than two evaluations, the training losses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.artifacts.verdict import Kind
from kfp_finetune.components.counts import counted
from kfp_finetune.components.judgement import advice
from kfp_finetune.components.judgement.advice import Advice
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.fall import WORTH_IT, Fall
from kfp_finetune.components.number_text import count_text, number_text, rate_text

# Shares of the loss of a constant answer.
_ROOM_IN_TRAINING = 0.1  # a training loss below this cannot fall much further
_WORSE = 0.02  # a rise of the validation loss that matters
# A share of the lowest validation loss: a rise that matters.
_ROSE = 0.05
# With as many validation rows, a change of 5 % of the loss is not chance.
_MANY_ROWS = 400
# A share of the usual rate.
_FAR_TOO_LOW = 1 / 8
# Training metrics beside the headline metric.
_OTHER_METRICS = {"accuracy": "accuracy of words", "macro_f1": "macro-F1"}

Found = tuple[Kind, str, Advice]


def overfitted(facts: Facts) -> Found | None:
    """The validation loss rose, and no score improved, or the probabilities are misleading."""
    found = _rise(facts)
    if found is None or facts.model.best_step is not None:
        return None
    step, best, last = found
    gained, misleading = _gained(facts, best, last), _misleading(facts, last["loss"])
    if gained and not misleading:
        return None
    epochs = step / facts.model.steps_per_epoch
    finding = (
        f"Overfitted: the validation loss was lowest, {number_text(best['loss'])}, after epoch"
        f" {epochs:.3g} and rose to {number_text(last['loss'])}"
    )
    kind, better = facts.kind, ""
    if kind.metric in best and kind.metric in last:
        before, after = kind.metric_text(best[kind.metric]), kind.metric_text(last[kind.metric])
        went = f"stayed at {after}" if before == after else f"went from {before} to {after}"
        finding += f", while {kind.metric_name} {went}"
        if before != after and (last[kind.metric] > best[kind.metric]) != kind.less_is_better:
            better = kind.metric
            finding += "" if gained else ", which may be chance"
    if gained:
        finding += f"; {misleading}"
    return "overfitted", f"{finding}.", advice.stop_earlier(facts, epochs, better)


def _misleading(facts: Facts, last: float) -> str:
    """How much worse than a constant answer's the probabilities are, as a clause; empty if not.

    Weights and a focal loss shift probabilities, and a temperature corrects those that are too
    extreme.

    Args:
        facts: The training.
        last: The last validation loss.
    """
    loss, constant = facts.calibrated_loss, facts.metrics.baseline.get("loss", math.inf)
    if facts.weighting or last <= facts.losses.constant or loss is None or loss <= constant:
        return ""
    return (
        f"the probabilities of the {facts.metrics.split} split have a loss of {number_text(loss)},"
        f" and a constant answer's is {number_text(constant)}"
    )


def _rise(facts: Facts) -> tuple[int, Mapping[str, float], Mapping[str, float]] | None:
    """The step and metrics of the lowest validation loss, and the last metrics, if it rose."""
    checks, rows = facts.curves.checks, facts.model.num_validation_examples
    if len(checks) < 2:
        return None
    step, _, best = min(checks, key=lambda check: check[2]["loss"])
    last, lowest = checks[-1][2], best["loss"]
    # The lowest of many values is low by chance.
    chance = facts.curves.jitter("loss") * math.sqrt(1 + math.log(len(checks)))
    limits = [_ROSE * lowest, chance]
    if rows:
        # The losses of examples, and their changes, spread about as much as their mean.
        limits.append(lowest / math.sqrt(rows))
    if math.isfinite(facts.losses.constant):
        limits.append(_WORSE * facts.losses.constant)
    return (step, best, last) if last["loss"] - lowest > max(limits) else None


def _gained(facts: Facts, best: Mapping[str, float], last: Mapping[str, float]) -> str:
    """The metric that improved beyond noise after the lowest validation loss; empty if none did.

    Only the headline metric counts, unless labels were weighted: then training minimises another
    loss than the validation loss and may lower the headline metric, so any metric counts.
    """
    kind = facts.kind
    for name in kind.training_metrics if facts.weighting else (kind.metric,):
        if name not in best or name not in last:
            continue
        gain = last[name] - best[name]
        if (-gain if name in LESS_IS_BETTER else gain) > facts.noise_of(name) / 2:
            return kind.metric_name if name == kind.metric else _OTHER_METRICS.get(name, name)
    return ""


def stopped_too_soon(facts: Facts) -> Found | None:
    """Early stopping ended training within noise, and the training loss was still falling."""
    rows, patience = facts.model.num_validation_examples or 0, facts.short_patience
    if not 0 < patience < advice.PATIENCE or not 0 < rows < _MANY_ROWS or facts.longer_was_worse:
        return None
    fall = facts.curves.training_fall()
    goes_on = fall.is_clear and fall.expected(2) > WORTH_IT * facts.losses.training_range
    if not goes_on or facts.losses.training_left <= _ROOM_IN_TRAINING or _rise(facts) is not None:
        return None
    made, planned = facts.model.updates_done, facts.model.num_train_steps
    finding = (
        f"Undertrained: training was stopped early, after {count_text(made)} of"
        f" {counted(planned, 'step')}, although the validation loss had not risen by more than"
        f" chance on {counted(rows, 'row')} and the training loss was still falling."
    )
    return "undertrained", finding, advice.wait_longer(facts)


def undertrained(facts: Facts) -> Found | None:
    """The loss would fall further, or the score rise, and nothing speaks against more training."""
    curves, model, losses = facts.curves, facts.model, facts.losses
    stopped = model.stopped_at is not None or facts.has_kept_best
    if stopped or losses.training_left <= _ROOM_IN_TRAINING or facts.longer_was_worse:
        return None
    fall = Fall.of(facts)
    if not (longer := fall.times or _still_rising(facts)):
        return None
    # Training for longer than it takes the training loss to get low is not advised.
    left = (losses.training_left - _ROOM_IN_TRAINING) * losses.training_range
    longer = min(longer, curves.training_fall().times_to(left))
    rising = f"{facts.kind.metric_name} on the validation split was still rising"
    reason = fall.text if fall.times else rising
    if facts.rate < _FAR_TOO_LOW * facts.usual_rate:
        finding = (
            f"The learning rate is too low: {rate_text(facts.rate)}, and"
            f" {rate_text(facts.usual_rate)} is usual for this model; {reason}."
        )
        return "too low", finding, advice.more(facts, longer)
    return "undertrained", f"Undertrained: {reason}.", advice.more(facts, longer)


def _still_rising(facts: Facts) -> int:
    """How many times as long to train until the headline metric stops rising; 0: no rise."""
    kind = facts.kind
    if kind.metric_top is None or kind.less_is_better or facts.has_one_answer:
        return 0
    start = facts.metrics.baseline.get(kind.metric, 0.0)
    trend = facts.curves.rise(kind.metric, start, facts.noise_of(kind.metric) / 2)
    worth = WORTH_IT * (kind.metric_top - start)
    return trend.times_until(worth) if trend.is_clear and trend.expected(2) > worth else 0


def ending(facts: Facts) -> str:
    """How a healthy training ended, as a clause."""
    model = facts.model
    if facts.has_kept_best:
        epochs = (model.best_step or 0) / model.steps_per_epoch
        return f"the weights with the best validation score, of epoch {epochs:.3g}, were kept"
    if (found := _rise(facts)) is not None:
        epochs, gained = found[0] / model.steps_per_epoch, _gained(facts, *found[1:])
        still = f"{gained} improved" if gained else "the last evaluation was the best one"
        still = f"although the validation loss rose after epoch {epochs:.3g}, {still}"
        calibration = facts.metrics.calibration
        if calibration is None or calibration.after is None:
            return still
        before, after = number_text(calibration.before.loss), number_text(calibration.after.loss)
        return f"{still}, and the temperature changed the log loss from {before} to {after}"
    if model.stopped_at is not None:
        return "training was stopped early"
    if facts.longer_was_worse:
        return "a longer training overfitted"
    fall = Fall.of(facts)
    if fall.may_go_on and not fall.times:
        return f"the {fall.name} loss varies too much to tell whether it was still falling"
    return "the loss levelled out"
