"""What the evaluate step does: predict, measure, report."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.files import write_text
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.evaluate.predictions import predict_split
from kfp_finetune.components.evaluate.report import render_report
from kfp_finetune.components.evaluate.summary import render_summary
from kfp_finetune.components.tasks import get_task

SPLIT = "test"


def evaluate(
    *,
    tokenized_dataset_path: str,
    model_path: str,
    metrics_path: str,
    report_path: str,
    summary_path: str | None = None,
    precision: str = "auto",
    texts_in_report: bool = True,
) -> Metrics:
    """Score a model on the test split.

    Args:
        tokenized_dataset_path: What load_data wrote.
        model_path: What finetune wrote.
        metrics_path: Where metrics.json is written.
        report_path: Where the HTML report is written.
        summary_path: Where a summary in Markdown is written; None: nowhere.
        precision: Of matrix products, as `Forward` takes it.
        texts_in_report: Whether examples have their texts, in both.

    Returns:
        The written metrics.

    Raises:
        InputError: If the test split is empty, or its labels are not the model's.
    """
    data = tokenized_dataset.read(tokenized_dataset_path)
    model = model_artifact.read(model_path)
    predictions = predict_split(tokenized_dataset_path, data, model_path, model, SPLIT, precision)
    train = tokenized_dataset.open_split(tokenized_dataset_path, "train")
    metrics: Metrics = get_task(model.task).score(
        predictions, train, model, data, SPLIT, with_texts=texts_in_report
    )
    log = model_artifact.read_training_log(model_path)
    report = render_report(metrics, model, log, data, texts_in_report=texts_in_report)
    metrics_artifact.write(metrics_path, metrics)
    write_text(Path(report_path), report)
    if summary_path is not None:
        write_text(Path(summary_path), render_summary(metrics, model, data))
    return metrics
