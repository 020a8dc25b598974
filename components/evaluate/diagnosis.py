"""Diagnose a training from its curves, and suggest what to try next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.number_text import count_text, number_text, rate_text
from kfp_finetune.components.tasks.registry import get_problem_type

Kind = Literal["diverged", "not learned", "overfitted", "undertrained", "fine", "unknown"]

_FEWEST_STEPS = 20
# Shares of the loss of a constant answer.
_NOT_LEARNED = 0.95
_STILL_FALLING = 0.03
_LEARNED = 0.25
_JUMPED = 0.3
_KNOWN = 0.5  # with less at the start, the model already knew the labels
# Of the lowest validation loss.
_ROSE = 0.05
# A new head on a pretrained model needs a lower rate than this.
_HIGH_RATE = 2e-4


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of a training.

    Attributes:
        kind: The diagnosis in a word.
        finding: The reason, as a sentence; empty if there are too few steps.
        remedy: What to try next, as a sentence; empty if nothing is wrong.
    """

    kind: Kind
    finding: str = ""
    remedy: str = ""


def diagnose(
    records: Sequence[dict[str, Any]], model: ModelManifest, constant_loss: float
) -> Diagnosis:
    """Diagnose a training from its log.

    Losses are compared as means over parts of the run: its first fiftieth, its third fifth (a rate
    that decays to 0 flattens every curve at the end) and its last fifth. Differences that are small
    beside the loss of a constant answer are ignored.

    Args:
        records: The records of the training log, in order.
        model: The model's manifest.
        constant_loss: The loss of a constant answer; infinite if it is not known.
    """
    losses = [float(r["loss"]) for r in records if r.get("loss") is not None]
    if broken := sum(not math.isfinite(loss) for loss in losses):
        return Diagnosis(
            "diverged",
            f"Training diverged: the loss of {count_text(broken)} steps was not finite.",
            _lower_rate(model),
        )
    if len(losses) < _FEWEST_STEPS:
        return Diagnosis("unknown")
    curve = np.array(losses)
    fifth = len(curve) // 5
    first = curve[: max(1, len(curve) // 50)].mean()
    middle, end = curve[2 * fifth : 3 * fifth].mean(), curve[-fifth:].mean()
    plain = model.label_smoothing_factor == 0 and model.class_weights == "none"
    whole = min(first, constant_loss) if plain else first
    lowest = np.convolve(curve, np.ones(fifth) / fifth, "valid").min()
    checks = [
        (int(r["step"]), float(r["validation"]["loss"]))
        for r in records
        if math.isfinite(r.get("validation", {}).get("loss", math.nan))
    ]
    if end - lowest > _JUMPED * whole and end > 1.5 * lowest:
        return Diagnosis(
            "diverged",
            f"Training diverged: the loss had fallen to {number_text(lowest)} and ended at"
            f" {number_text(end)}.",
            _lower_rate(model),
        )
    if end > _NOT_LEARNED * whole and not first < _KNOWN * constant_loss:
        high = model.optimizer.schedule.learning_rate > _HIGH_RATE or end > first / _NOT_LEARNED
        return Diagnosis(
            "not learned",
            f"Nothing was learned: the loss was {number_text(first)} at the start and"
            f" {number_text(end)} at the end, no less than that of a constant answer.",
            _lower_rate(model) if high else _more(model, factor=10),
        )
    kind = get_problem_type(model.problem_type)
    if kind.nothing_learned and model.validation_metrics.get(kind.metric) == 0:
        high = model.optimizer.schedule.learning_rate > _HIGH_RATE
        return Diagnosis(
            "not learned",
            f"Nothing was learned: {kind.nothing_learned}.",
            _lower_rate(model) if high else _more(model, factor=10),
        )
    if checks and (risen := _overfitted(checks, model)):
        return risen
    best = min(checks, key=lambda check: check[1]) if checks else None
    falling = middle - end > _STILL_FALLING * whole and end > _LEARNED * whole
    if falling and (best is None or best == checks[-1]):
        with_it = ", and the validation loss with it" if len(checks) > 1 else ""
        return Diagnosis(
            "undertrained",
            f"Undertrained: the loss was still falling, from {number_text(middle)} half-way to"
            f" {number_text(end)} at the end{with_it}.",
            _more(model, factor=2),
        )
    return Diagnosis("fine", "The curves look normal: the loss fell and levelled out.")


def _overfitted(checks: list[tuple[int, float]], model: ModelManifest) -> Diagnosis | None:
    step, best = min(checks, key=lambda check: check[1])
    last = checks[-1][1]
    if last <= (1 + _ROSE) * best:
        return None
    epochs = step / model.steps_per_epoch
    finding = (
        f"The validation loss was lowest, {number_text(best)}, after epoch {epochs:.3g} and rose to"
        f" {number_text(last)} while the training loss fell"
    )
    if model.best_step == step:
        return Diagnosis("fine", finding + ": the weights of that epoch were kept.")
    return Diagnosis(
        "overfitted",
        f"Overfitted: {finding[0].lower()}{finding[1:]}.",
        f"Try --load-best-model-at-end with --early-stopping-patience 2, or --num-train-epochs"
        f" {math.ceil(epochs):d}.",
    )


def _lower_rate(model: ModelManifest) -> str:
    schedule = model.optimizer.schedule
    remedy = f"Try --learning-rate {rate_text(schedule.learning_rate / 5)}"
    if not schedule.warmup_steps:
        remedy += ", with --warmup-ratio 0.1"
    if model.optimizer.max_grad_norm is None:
        remedy += " and --max-grad-norm 1"
    return remedy + "."


def _more(model: ModelManifest, factor: int) -> str:
    rate = rate_text(factor * model.optimizer.schedule.learning_rate)
    epochs = math.ceil(2 * model.num_train_epochs)
    return f"Try --num-train-epochs {epochs}, or --learning-rate {rate}."
