"""Tables of metrics: display names, values, intervals and baselines."""

from __future__ import annotations

from kfp_finetune.components.artifacts.metrics import POSITIVE_SCORES, Metrics
from kfp_finetune.components.number_text import amount_text, number_text, percent_text
from kfp_finetune.components.tasks.problem_type import ProblemType

_NAMES = {
    "loss": "Log loss",
    "ece": "Calibration error (ECE)",
    "calibrated_ece": "ECE with temperature",
    "roc_auc": "ROC-AUC",
    "mae": "Mean absolute error",
    "rmse": "RMSE",
    "mean_error": "Mean error",
    "r2": "R²",
    "subset_accuracy": "Exact matches",
    "hamming_loss": "Hamming loss",
    "seen_recall": "Recall of seen entities",
    "unseen_recall": "Recall of unseen entities",
    "untuned_micro_f1": "Micro-F1 at threshold 0.5",
    "untuned_macro_f1": "Macro-F1 at threshold 0.5",
}
_IN_UNITS = ("mae", "rmse", "mean_error")


def metric_name(name: str, kind: ProblemType) -> str:
    """The display name of a metric."""
    usual = name.replace("_f1", "-F1").replace("_", " ").capitalize().replace("-f1", "-F1")
    return kind.metric_names.get(name) or _NAMES.get(name, usual)


def metric_text(name: str, value: float) -> str:
    """The value of a metric: a share, an amount in the labels' unit, or a score."""
    if "accuracy" in name or name == "hamming_loss":
        return percent_text(value)
    if name in _IN_UNITS:
        return amount_text(value)
    # Below 0.001, a score is as good as 0; a loss has its own scale.
    return number_text(value) if name == "loss" else f"{value:.3f}".replace("-0.000", "0.000")


def tiles(metrics: Metrics, kind: ProblemType) -> list[tuple[str, str, str]]:
    """The most important metrics: name, value, and a note with the interval and the baseline."""
    positive = POSITIVE_SCORES if metrics.positive_label else ()
    return [
        (
            metric_name(name, kind) + metrics.about(name),
            metric_text(name, metrics.metrics[name]) if name in metrics.metrics else "undefined",
            ", ".join(filter(None, (_interval(metrics, name), _baseline(metrics, name)))),
        )
        for name in (*positive, *kind.tiles)
    ]


def _interval(metrics: Metrics, name: str) -> str:
    if name not in metrics.intervals or name not in metrics.metrics:
        return ""
    return " to ".join(metric_text(name, end) for end in metrics.intervals[name])


def _baseline(metrics: Metrics, name: str) -> str:
    if name not in metrics.baseline or name not in metrics.metrics:
        return ""
    return f"baseline {metric_text(name, metrics.baseline[name])}"


def metric_rows(metrics: Metrics, kind: ProblemType) -> list[tuple[str, str, str, str]]:
    """Name, value, interval and baseline of every metric except the baselines themselves."""
    return [
        (
            metric_name(name, kind) + metrics.about(name),
            metric_text(name, value),
            _interval(metrics, name) or "–",
            _baseline(metrics, name).removeprefix("baseline ") or "–",
        )
        for name, value in metrics.metrics.items()
        if "baseline" not in name
    ]
