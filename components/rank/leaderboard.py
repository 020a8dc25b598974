"""Puts trainings in order, and says how sure that order is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.leaderboard import Attempt, Candidate, Leaderboard
from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER, Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.evaluate.diagnosis import diagnose
from kfp_finetune.components.evaluate.headline import Headline, headline

# Diagnoses of a training that more updates or a higher rate would have taken further.
_TOO_LITTLE = ("undertrained", "not learned")


@dataclass(frozen=True)
class Training:
    """One training, as its steps have left it.

    Attributes:
        candidate: What `pipelines.compare_schedules.candidates.expand` made.
        model: The model's manifest.
        log: The training log's records, in order.
        metrics: Of the test split.
        seconds: How long its updates took.
    """

    candidate: Mapping[str, Any]
    model: ModelManifest
    log: Sequence[dict[str, Any]]
    metrics: Metrics
    seconds: float = 0.0


def read_trainings(
    candidates: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    metrics: Sequence[str],
    seconds: Sequence[float],
) -> list[Training]:
    """Read what the steps have left, all in the same order.

    Raises:
        RuntimeError: If that order is not the same.
    """
    found = []
    for candidate, model_path, metrics_path, took in zip(
        candidates, models, metrics, seconds, strict=True
    ):
        model = model_artifact.read(model_path)
        settings = _settings(candidate)
        asked_for = build_optimizer_config(model.num_train_steps, **settings), candidate["seed"]
        if (model.optimizer, model.seed) != asked_for:
            raise RuntimeError(
                f"candidate {dict(candidate)} is not what was trained:"
                f" {model.optimizer}, seed {model.seed}"
            )
        log = list(model_artifact.read_training_log(model_path))
        found.append(Training(candidate, model, log, metrics_artifact.read(metrics_path), took))
    return found


def rank(trainings: Sequence[Training]) -> Leaderboard:
    """Put trainings in order.

    What decides is the metric that training is followed by, at the end, on the validation split;
    without one on the test split. Of a candidate with several seeds it is the mean; one of which
    every seed diverged is last.

    Args:
        trainings: At least one, all of one problem type.

    Returns:
        The best candidate first, and the best attempt of it first.
    """
    told = headline(trainings[0].model.problem_type)
    metric = told.followed
    validated = any(t.model.validation_metrics for t in trainings)
    split: Literal["validation", "test"] = "validation" if validated else "test"
    sign = 1 if metric in LESS_IS_BETTER else -1
    by_name: dict[str, list[int]] = {}
    for index, training in enumerate(trainings):
        by_name.setdefault(training.candidate["name"], []).append(index)
    candidates = [
        _candidate(name, {i: trainings[i] for i in indices}, metric, split, sign)
        for name, indices in by_name.items()
    ]
    candidates.sort(key=lambda c: math.inf if c.mean is None else sign * c.mean)
    return Leaderboard(
        metric=metric,
        split=split,
        less_is_better=sign == 1,
        verdict=_verdict(candidates, told, split),
        candidates=candidates,
    )


def _candidate(
    name: str, trainings: Mapping[int, Training], metric: str, split: str, sign: int
) -> Candidate:
    attempts = [_attempt(index, t, metric, split, sign) for index, t in trainings.items()]
    attempts.sort(
        key=lambda a: (
            a.diverged_at is not None,
            math.inf if a.value is None else sign * a.value,
        )
    )
    values = [a.value for a in attempts if a.value is not None and a.diverged_at is None]
    best = trainings[attempts[0].index]
    said = diagnose(best.log, best.model, best.metrics.baseline.get("loss", math.inf))
    stopped = best.model.stopped_at
    diverged = attempts[0].diverged_at is not None
    return Candidate(
        name=name,
        settings=_settings(best.candidate),
        mean=statistics.mean(values) if values else None,
        spread=statistics.stdev(values) if len(values) > 1 else None,
        diverged=sum(a.diverged_at is not None for a in attempts),
        diagnosis="diverged" if diverged else said.kind,
        finding=_ended(stopped.reason) if stopped and diverged else _sentence(said),
        attempts=attempts,
    )


def _attempt(index: int, training: Training, metric: str, split: str, sign: int) -> Attempt:
    model = training.model
    checks = [
        (sign * r["validation"][metric], r["step"]) for r in training.log if "validation" in r
    ]
    measured = model.validation_metrics if split == "validation" else training.metrics.metrics
    return Attempt(
        index=index,
        seed=model.seed,
        value=measured.get(metric),
        best_step=min(checks)[1] if checks else None,
        diverged_at=model.diverged_at,
        validation_metrics=model.validation_metrics,
        test_metrics=training.metrics.metrics,
        seconds=training.seconds,
    )


def _settings(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """What build_optimizer was given."""
    return {key: value for key, value in candidate.items() if key not in ("name", "seed")}


def _ended(reason: str) -> str:
    """Why training ended, without the rows that the update was made from."""
    return reason[0].upper() + reason[1:].partition(", made from")[0] + "."


def _sentence(said: Any) -> str:
    return " ".join(part for part in (said.finding, said.remedy) if part)


def _verdict(candidates: Sequence[Candidate], told: Headline, split: str) -> str:
    first = candidates[0]
    if first.mean is None:
        return "Every candidate diverged."
    found = f"{first.name} is best: {split} {told.followed_name} {_value(first, told)}"
    if len(candidates) == 1 or candidates[1].mean is None:
        return found + ("." if len(candidates) == 1 else "; all others diverged.")
    second = candidates[1]
    assert second.mean is not None  # noqa: S101 - it is not the first with none
    difference = abs(first.mean - second.mean)
    found += f"; next is {second.name}, {_value(second, told)}."
    if first.spread is None or second.spread is None:
        one_each = len(first.attempts) == len(second.attempts) == 1
        why = "Each was trained with one seed" if one_each else "Of one a single seed is left"
        found += (
            f" {why}: whether the difference is more than chance cannot be told. Try --seeds 1,2,3."
        )
    else:
        spread = max(first.spread, second.spread)
        larger = "larger" if difference > spread else "not larger"
        than = f"than the spread over the seeds, {told.text(spread)}"
        found += f" The difference, {told.text(difference)}, is {larger} {than}."
    if short := [c.name for c in candidates[1:] if c.diagnosis in _TOO_LITTLE]:
        was = "was" if len(short) == 1 else "were"
        found += f" {' and '.join(short)} {was} undertrained: that says nothing of the shape."
    return found


def _value(candidate: Candidate, told: Headline) -> str:
    assert candidate.mean is not None  # noqa: S101 - asked for by those that have one
    text = told.text(candidate.mean)
    if candidate.spread is not None:
        seeds = len(candidate.attempts) - candidate.diverged
        text += f" ± {told.text(candidate.spread)} over {seeds} seeds"
    if candidate.diverged:
        text += f" (of {len(candidate.attempts)} seeds {candidate.diverged} diverged)"
    return text
