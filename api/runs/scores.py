"""The most important metrics, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.runs.folder import RunFolder

# For all problem types; a model has some of them.
HEADLINE = (
    "f1",
    "precision",
    "recall",
    "accuracy",
    "macro_f1",
    "micro_f1",
    "average_precision",
    "mae",
    "rmse",
    "r2",
    "pearson",
    "spearman",
    "loss",
)
_ONLY_OF_SEVERAL = ("micro_f1", "average_precision")  # shown if there is no accuracy


def headline(names: Iterable[str]) -> list[str]:
    """The names of the most important metrics, in order."""
    known = set(names)
    return [
        n for n in HEADLINE if n in known and not (n in _ONLY_OF_SEVERAL and "accuracy" in known)
    ]


def lines(metrics: Metrics) -> list[tuple[str, str]]:
    """Names and values of the most important metrics, with interval and baseline."""
    found = []
    for name in headline(metrics.metrics):
        text = f"{metrics.metrics[name]:.4f}"
        if name in metrics.intervals:
            text += " (95 %: {:.4f} to {:.4f})".format(*metrics.intervals[name])
        if name in metrics.baseline:
            text += f", baseline {metrics.baseline[name]:.4f}"
        found.append((name + metrics.about(name), text))
    return found


def of_run(folder: RunFolder) -> list[tuple[str, str]]:
    """The most important metrics of a run, from its metrics.json if it has one."""
    path = folder.record.artifacts.get("metrics_json")
    if path is not None and (folder.path / Path(path)).is_file():
        return lines(metrics_artifact.read(folder.path / path))
    return values(folder.record.metrics)


def values(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Only names and values."""
    return [(name, f"{value:.4f}") for name, value in metrics.items()]
