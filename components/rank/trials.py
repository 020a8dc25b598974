"""Read the trials of a comparison, and rank them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.leaderboard import Candidate, Leaderboard, RankedTrial
from kfp_finetune.components.artifacts.metrics import UNTUNED, Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.rank.deciding import deciding_metric
from kfp_finetune.components.rank.differences import difference, interval, mean_of_seeds
from kfp_finetune.components.rank.verdict import verdict_on


@dataclass(frozen=True)
class Trial:
    """One training of a comparison: a candidate with one seed.

    Attributes:
        candidate: Its settings, as `pipelines.compare_schedules.candidates.expand` returns them.
        model: The model's manifest.
        log: The records of the training log, in order.
        metrics: Metrics of the test split.
        seconds: The duration of its steps.
        resamples: The deciding metric on bootstrap resamples of the validation split; empty if they
            are not known.
    """

    candidate: Mapping[str, Any]
    model: ModelManifest
    log: Sequence[dict[str, Any]]
    metrics: Metrics
    seconds: float = 0.0
    resamples: Sequence[float] = ()


def read_trials(
    candidates: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    metrics: Sequence[str],
    seconds: Sequence[float],
) -> list[Trial]:
    """Read the artifacts of trials, all in the same order.

    Raises:
        RuntimeError: If the order differs.
    """
    found = []
    for candidate, model_path, metrics_path, took in zip(
        candidates, models, metrics, seconds, strict=True
    ):
        model = model_artifact.read(model_path)
        settings = _settings(candidate, model)
        asked_for = build_optimizer_config(model.num_train_steps, **settings), candidate["seed"]
        if (model.optimizer, model.seed) != asked_for:
            raise RuntimeError(
                f"candidate {dict(candidate)} was not trained with its settings, but with"
                f" {model.optimizer}, seed {model.seed}"
            )
        log = list(model_artifact.read_training_log(model_path))
        measured = metrics_artifact.read(metrics_path)
        deciding = deciding_metric(model, measured)
        resamples = model_artifact.read_resamples(model_path).get(deciding.key, [])
        found.append(Trial(candidate, model, log, measured, took, resamples))
    return found


def rank(trials: Sequence[Trial]) -> Leaderboard:
    """Rank trials by the metric that they optimise, or by the headline metric.

    It is measured at the end on the validation split, or on the test split if there is none. A
    candidate with several seeds is ranked by their mean; one whose every seed diverged is last.

    Args:
        trials: At least one, all of one problem type.

    Returns:
        The best candidate first, and its best trial first.
    """
    deciding = deciding_metric(trials[0].model, trials[0].metrics)
    validated = any(t.model.validation_metrics for t in trials)
    split: Literal["validation", "test"] = "validation" if validated else "test"
    sign = 1 if deciding.less_is_better else -1
    by_name: dict[str, list[int]] = {}
    for index, trial in enumerate(trials):
        by_name.setdefault(trial.candidate["name"], []).append(index)
    candidates = [
        _candidate(name, {i: trials[i] for i in indices}, deciding.key, split, sign)
        for name, indices in by_name.items()
    ]
    candidates.sort(key=lambda c: math.inf if c.mean is None else sign * c.mean)
    _compare(candidates, trials, less_is_better=deciding.less_is_better)
    return Leaderboard(
        metric=deciding.key,
        split=split,
        less_is_better=deciding.less_is_better,
        verdict=verdict_on(candidates, deciding, split),
        candidates=candidates,
    )


def _candidate(
    name: str, trials: Mapping[int, Trial], metric: str, split: str, sign: int
) -> Candidate:
    ranked = [_ranked(index, t, metric, split, sign) for index, t in trials.items()]
    ranked.sort(
        key=lambda t: (
            t.diverged_at is not None,
            math.inf if t.value is None else sign * t.value,
        )
    )
    values = [t.value for t in ranked if t.value is not None and t.diverged_at is None]
    tests = [
        t.test_metrics.get(UNTUNED + metric, t.test_metrics[metric])
        for t in ranked
        if _counts(t) and metric in t.test_metrics
    ]
    best = trials[ranked[0].index]
    verdict = best.metrics.verdict
    diverged = ranked[0].diverged_at is not None
    return Candidate(
        name=name,
        settings=_settings(best.candidate, best.model),
        mean=statistics.mean(values) if values else None,
        spread=statistics.stdev(values) if len(values) > 1 else None,
        test_mean=statistics.mean(tests) if tests else None,
        diverged=sum(t.diverged_at is not None for t in ranked),
        diagnosis="diverged" if diverged else verdict.kind if verdict else "unknown",
        finding=verdict.text if verdict else "",
        attempts=ranked,
    )


def _ranked(index: int, trial: Trial, metric: str, split: str, sign: int) -> RankedTrial:
    model = trial.model
    checks = [
        (sign * values[metric], record["step"])
        for record in trial.log
        # Even a diverged model has an accuracy.
        if (values := record.get("validation")) and math.isfinite(values["loss"])
    ]
    measured = model.validation_metrics if split == "validation" else trial.metrics.metrics
    return RankedTrial(
        index=index,
        seed=model.seed,
        value=measured.get(metric),
        best_step=min(checks)[1] if checks else None,
        diverged_at=model.diverged_at,
        validation_metrics=model.validation_metrics,
        test_metrics=trial.metrics.metrics,
        seconds=trial.seconds,
    )


def _compare(
    candidates: Sequence[Candidate], trials: Sequence[Trial], *, less_is_better: bool
) -> None:
    """Give each candidate its interval, its difference from the best one, and its place.

    Candidates within noise of the best one share the first place.
    """
    resampled = [
        mean_of_seeds(
            [trials[t.index].resamples for t in sorted(c.attempts, key=_seed) if _counts(t)]
        )
        for c in candidates
    ]
    best = candidates[0]
    for place, (candidate, values) in enumerate(zip(candidates, resampled, strict=True), 1):
        candidate.place = place
        if candidate.mean is None:
            continue
        if values is not None:
            candidate.interval = interval(values)
        if candidate is best:
            continue
        behind = difference(resampled[0], values, less_is_better=less_is_better)
        candidate.behind = behind
        candidate.tied = candidate.mean == best.mean or (behind is not None and behind[0] <= 0)
        if candidate.tied:
            candidate.place = 1


def _seed(trial: RankedTrial) -> int:
    return trial.seed


def _counts(trial: RankedTrial) -> bool:
    return trial.value is not None and trial.diverged_at is None


def _settings(candidate: Mapping[str, Any], model: ModelManifest) -> dict[str, Any]:
    """The parameters of build_optimizer, with the learning rate that it chose if none was given."""
    found = {key: value for key, value in candidate.items() if key not in ("name", "seed")}
    rate = found.get("learning_rate") or model.optimizer.schedule.learning_rate
    return found | {"learning_rate": rate}
