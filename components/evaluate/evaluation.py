"""What the evaluate step does: predict, measure, report."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.files import write_text
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.evaluate.mistakes import find_mistakes
from kfp_finetune.components.evaluate.predictions import Predictions, predict_split
from kfp_finetune.components.evaluate.report import render_report
from kfp_finetune.components.evaluate.slices import score_slices
from kfp_finetune.components.tasks.scores.measure import measure

SPLIT = "test"


def evaluate(
    *,
    tokenized_dataset_path: str,
    model_path: str,
    metrics_path: str,
    report_path: str,
    texts_in_report: bool = True,
) -> Metrics:
    """Score a model on the test split.

    Args:
        tokenized_dataset_path: What load_data wrote.
        model_path: What finetune wrote.
        metrics_path: Where metrics.json is written.
        report_path: Where the HTML report is written.
        texts_in_report: Whether examples have their texts, in both.

    Returns:
        The written metrics.

    Raises:
        InputError: If the test split is empty, or its labels are not the model's.
    """
    data = tokenized_dataset.read(tokenized_dataset_path)
    model = model_artifact.read(model_path)
    predictions = predict_split(tokenized_dataset_path, data, model_path, model, SPLIT)
    metrics = score(predictions, model, data, with_texts=texts_in_report)
    report = render_report(metrics, model, model_artifact.read_training_log(model_path), data)
    metrics_artifact.write(metrics_path, metrics)
    write_text(Path(report_path), report)
    return metrics


def score(
    predictions: Predictions,
    model: ModelManifest,
    data: TokenizedDatasetManifest,
    *,
    with_texts: bool,
) -> Metrics:
    """Everything that is measured: scores, slices, mistakes.

    Raises:
        InputError: As `measure`.
    """
    metrics = measure(
        model.problem_type,
        predictions.labels,
        predictions.logits,
        model.label_names,
        SPLIT,
        temperature=model.temperature,
        thresholds=model.thresholds,
    )
    slices = score_slices(predictions, model, data.slice_columns, data.max_length)
    mistakes = find_mistakes(predictions, model, with_texts=with_texts)
    return metrics.model_copy(update={"slices": slices, **mistakes})
