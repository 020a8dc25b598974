"""The first sentence of the report for each problem type of text classification."""

from __future__ import annotations

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.number_text import amount_text, number_text, percent_text
from kfp_finetune.components.tasks.verdicts import CONSTANT, accuracy_verdict, examples_text


def single_label(metrics: Metrics) -> tuple[str, str]:
    """Accuracy, beside that of the most frequent label."""
    return accuracy_verdict(metrics, unit="examples", labelled="labelled", label="label")


def multi_label(metrics: Metrics) -> tuple[str, str]:
    """Micro-F1, beside that of the best constant set of labels."""
    scores = metrics.metrics
    f1, baseline = scores["micro_f1"], scores["constant_baseline_micro_f1"]
    found = f"icro-F1 is {number_text(f1)} on {examples_text(metrics)}"
    exact = f"{percent_text(scores['subset_accuracy'])} have exactly the right labels"
    if f1 <= baseline:
        return (
            CONSTANT,
            f"m{found}, and always predicting the same labels reaches {number_text(baseline)};"
            f" {exact}.",
        )
    return (
        f"M{found}",
        f"against {number_text(baseline)} for always predicting the same labels; {exact}.",
    )


def regression(metrics: Metrics) -> tuple[str, str]:
    """The mean absolute error, beside that of the mean."""
    scores = metrics.metrics
    error, baseline = scores["mae"], scores["mean_baseline_mae"]
    found = f"redictions are off by {amount_text(error)} on average over {examples_text(metrics)}"
    r2 = f"R² is {number_text(scores['r2'])}" if "r2" in scores else "R² is undefined"
    if error >= baseline:
        return (
            CONSTANT,
            f"p{found}, and always predicting the mean is off by {amount_text(baseline)}; {r2}.",
        )
    return f"P{found}", f"against {amount_text(baseline)} for always predicting the mean; {r2}."
