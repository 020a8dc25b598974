"""The problem types of text classification: one label, several labels, or a number per text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_finetune.components.number_text import amount_text, number_text, percent_text
from kfp_finetune.components.tasks.problem_type import ProblemType
from kfp_finetune.components.tasks.text_classification import results

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.predictions import Prediction

# As Transformers names them.
SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"


def _label_record(prediction: Prediction, top_k: int | None) -> dict[str, Any]:
    """`label` and `probability`; with `top_k` also the `probabilities` of that many labels."""
    probabilities = prediction.rounded()
    label = prediction.labels[0]
    record = {"label": label, "probability": probabilities[label]}
    if top_k is None:
        return record
    return record | {"probabilities": dict(list(probabilities.items())[:top_k])}


def _label_lines(record: dict[str, Any]) -> list[tuple[float | None, str]]:
    shown = record.get("probabilities", {record["label"]: record["probability"]})
    return [(probability, name) for name, probability in shown.items()]


def _labels_record(prediction: Prediction, top_k: int | None) -> dict[str, Any]:
    """`labels`, and the `probabilities` of these labels, or of the `top_k` most probable ones."""
    probabilities = prediction.rounded()
    shown = list(probabilities)[:top_k] if top_k else prediction.labels
    return {
        "labels": list(prediction.labels),
        "probabilities": {name: probabilities[name] for name in shown},
    }


def _labels_lines(record: dict[str, Any]) -> list[tuple[float | None, str]]:
    shown = [(probability, name) for name, probability in record["probabilities"].items()]
    return shown or [(None, "no label")]


def _number_record(prediction: Prediction, _top_k: int | None) -> dict[str, Any]:
    return {"value": prediction.value}


def _number_lines(record: dict[str, Any]) -> list[tuple[float | None, str]]:
    return [(None, f"{record['value']:g}")]


PROBLEM_TYPES = (
    ProblemType(
        name=SINGLE_LABEL,
        training_metrics=("accuracy", "macro_f1"),
        activation="softmax",
        takes_positive_label=True,
        in_hub_config=True,
        metric_name="accuracy",
        metric_text=percent_text,
        axis_text="{:.0%}".format,
        result=results.single_label,
        tiles=(
            "accuracy",
            "balanced_accuracy",
            "macro_f1",
            "weighted_f1",
            "matthews_correlation",
            "loss",
        ),
        slice_metrics=("accuracy", "macro_f1", "loss"),
        label_kind="one label per row",
        card="assigns one of {} labels to a text",
        card_limit="It always answers with one of these labels, whatever the text.",
        record=_label_record,
        lines=_label_lines,
    ),
    ProblemType(
        name=MULTI_LABEL,
        training_metrics=("micro_f1", "macro_f1"),
        activation="sigmoid",
        in_hub_config=True,
        metric_name="micro-F1",
        metric_text=number_text,
        axis_text="{:g}".format,
        result=results.multi_label,
        tiles=(
            "micro_f1",
            "macro_f1",
            "samples_f1",
            "average_precision",
            "subset_accuracy",
            "loss",
        ),
        slice_metrics=("micro_f1", "subset_accuracy", "loss"),
        calibration_lead="The share of labels that are correct, by their probability.",
        label_kind="several labels per row",
        card="assigns any of {} labels to a text",
        card_limit="It always answers with some or none of these labels, whatever the text.",
        record=_labels_record,
        lines=_labels_lines,
    ),
    ProblemType(
        name=REGRESSION,
        training_metrics=("mae",),
        activation="none",
        has_labels=False,
        in_hub_config=True,
        metric_name="mean absolute error",
        metric_text=amount_text,
        axis_text="{:,.6g}".format,
        metric_top=None,
        result=results.regression,
        tiles=("mae", "rmse", "r2", "pearson", "spearman", "mean_error"),
        slice_metrics=("mae", "rmse", "mean_error"),
        metric_names={"loss": "Mean squared error"},
        label_slices="By the true number",
        label_kind="a number per row",
        card="predicts a number for each text",
        card_limit="It always answers with a number, whatever the text.",
        record=_number_record,
        lines=_number_lines,
        no_top_k="a number, not labels",
    ),
)
