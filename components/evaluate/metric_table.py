"""Metrics as people read them: their names, their values, their intervals and baselines."""

from __future__ import annotations

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.pages.page import number_text, percent_text
from kfp_finetune.components.tasks.problem_types import (
    ENTITIES,
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    TAGS,
)

_NAMES = {
    "loss": "Log loss",
    "ece": "Calibration error (ECE)",
    "calibrated_ece": "ECE with temperature",
    "roc_auc": "ROC-AUC",
    "mae": "Mean absolute error",
    "rmse": "RMSE",
    "mean_error": "Mean error",
    "r2": "R²",
    "subset_accuracy": "Exactly right",
    "hamming_loss": "Wrong marks",
    "seen_recall": "Recall of seen entities",
    "unseen_recall": "Recall of unseen entities",
    "untuned_micro_f1": "Micro-F1 at threshold 0.5",
}
_TILES = {
    SINGLE_LABEL: (
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "weighted_f1",
        "matthews_correlation",
        "loss",
    ),
    MULTI_LABEL: (
        "micro_f1",
        "macro_f1",
        "samples_f1",
        "average_precision",
        "subset_accuracy",
        "loss",
    ),
    ENTITIES: ("f1", "precision", "recall", "unseen_recall", "macro_f1", "accuracy"),
    TAGS: ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "ece", "loss"),
    REGRESSION: ("mae", "rmse", "r2", "pearson", "spearman", "mean_error"),
}
# What the comparison of slices shows, the first one as a bar.
_OF_SLICES = {
    SINGLE_LABEL: ("accuracy", "macro_f1", "loss"),
    MULTI_LABEL: ("micro_f1", "subset_accuracy", "loss"),
    ENTITIES: ("f1", "precision", "recall"),
    TAGS: ("accuracy", "loss"),
    REGRESSION: ("mae", "rmse", "mean_error"),
}
_IN_UNITS = ("mae", "rmse", "mean_error")


def metric_name(name: str, problem_type: str) -> str:
    """A metric's name at the beginning of a sentence."""
    if problem_type == REGRESSION and name == "loss":
        return "Mean squared error"
    if problem_type == ENTITIES and name == "accuracy":
        return "Accuracy of words"
    return _NAMES.get(name, name.replace("_f1", "-F1").replace("_", " ").capitalize()).replace(
        "-f1", "-F1"
    )


def metric_text(name: str, value: float) -> str:
    """A metric's value: a share, an amount in the labels' unit, or a score."""
    if "accuracy" in name or name == "hamming_loss":
        return percent_text(value)
    return amount_text(value) if name in _IN_UNITS else number_text(value)


def amount_text(value: float) -> str:
    """An amount in the labels' own unit: 0.412, 13,500."""
    if 1e3 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.1f}" if 1e2 <= abs(value) < 1e3 else number_text(value)


def tiles(metrics: Metrics, problem_type: str) -> list[tuple[str, str, str]]:
    """Name, value and a note of the most important metrics; the note has interval and baseline."""
    return [
        (
            metric_name(name, problem_type),
            metric_text(name, metrics.metrics[name]) if name in metrics.metrics else "undefined",
            ", ".join(filter(None, (_interval(metrics, name), _baseline(metrics, name)))),
        )
        for name in _TILES[problem_type]
    ]


def _interval(metrics: Metrics, name: str) -> str:
    if name not in metrics.intervals or name not in metrics.metrics:
        return ""
    return " to ".join(metric_text(name, end) for end in metrics.intervals[name])


def _baseline(metrics: Metrics, name: str) -> str:
    if name not in metrics.baseline or name not in metrics.metrics:
        return ""
    return f"baseline {metric_text(name, metrics.baseline[name])}"


def metric_rows(metrics: Metrics, problem_type: str) -> list[tuple[str, str, str, str]]:
    """Name, value, interval and baseline of every metric but the baselines' own."""
    return [
        (
            metric_name(name, problem_type),
            metric_text(name, value),
            _interval(metrics, name) or "–",
            _baseline(metrics, name).removeprefix("baseline ") or "–",
        )
        for name, value in metrics.metrics.items()
        if "baseline" not in name
    ]


def slice_metrics(problem_type: str) -> tuple[str, ...]:
    """The metrics that slices are compared by, the most telling first."""
    return _OF_SLICES[problem_type]
