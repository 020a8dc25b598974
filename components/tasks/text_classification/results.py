"""The result beside a constant answer for each problem type of text classification."""

from __future__ import annotations

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.number_text import amount_text, number_text, percent_text
from kfp_finetune.components.tasks.results import (
    CONSTANT,
    Result,
    accuracy_result,
    beats,
    beats_baseline,
    examples_text,
)

# The mean ROC AUC of the labels: 0.5 is chance, and a new head is a little off it.
_AUC_OF_CHANCE, _CLEAR_AUC = 0.55, 0.65
# The spread of predictions, as a share of the labels', below which they hardly vary.
_HARDLY_VARY = 0.05


def single_label(metrics: Metrics) -> Result:
    """Accuracy, beside that of the most frequent label."""
    return accuracy_result(metrics, unit="examples", labelled="labelled", label="label")


def multi_label(metrics: Metrics) -> Result:
    """Micro-F1, beside that of the best constant set of labels.

    A loss that falls because most labels are absent is no learning: the labels must be ranked
    better than by chance, too.
    """
    scores = metrics.metrics
    f1, baseline = scores["micro_f1"], scores["constant_baseline_micro_f1"]
    auc = scores.get("roc_auc")
    learned = beats_baseline(metrics, "micro_f1", "loss")
    if auc is not None:
        learned = auc >= _CLEAR_AUC or (learned and auc >= _AUC_OF_CHANCE)
    found = f"icro-F1 is {number_text(f1)} on {examples_text(metrics)}"
    exact = f"{percent_text(scores['subset_accuracy'])} have exactly the right labels"
    if not learned:
        ranked = "" if auc is None else f"; ROC AUC is {number_text(auc)}, and 0.5 is chance"
        return Result(
            learned,
            CONSTANT,
            f"m{found}, and always predicting the same labels reaches {number_text(baseline)};"
            f" {exact}{ranked}.",
        )
    return Result(
        learned,
        f"M{found}",
        f"against {number_text(baseline)} for always predicting the same labels; {exact}.",
    )


def regression(metrics: Metrics) -> Result:
    """The mean absolute error, beside that of the mean."""
    scores = metrics.metrics
    error, baseline = scores["mae"], scores["mean_baseline_mae"]
    spread = scores.get("prediction_spread", 1.0)
    learned = beats(metrics, "r2", 0.0) and spread > _HARDLY_VARY
    found = f"redictions are off by {amount_text(error)} on average over {examples_text(metrics)}"
    r2 = f"R² is {number_text(scores['r2'])}" if "r2" in scores else "R² is undefined"
    if not learned:
        return Result(
            learned,
            CONSTANT,
            f"p{found}, and always predicting the mean is off by {amount_text(baseline)}; {r2}.",
        )
    return Result(
        learned,
        f"P{found}",
        f"against {amount_text(baseline)} for always predicting the mean; {r2}.",
    )
