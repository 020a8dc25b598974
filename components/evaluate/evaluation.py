"""The work of evaluate: predict, measure, report."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.verdict import read_tried
from kfp_finetune.components.evaluate.rare_labels import rare_labels
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.evaluate.split_logits import predict_split
from kfp_finetune.components.evaluate.summary import render_summary
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.components.tasks.registry import get_task

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
    earlier_runs: str = "",
) -> Metrics:
    """Score a model on the test split.

    Args:
        tokenized_dataset_path: The dataset that load_data wrote.
        model_path: The model that finetune wrote.
        metrics_path: The path for metrics.json.
        report_path: The path for the HTML report.
        summary_path: The path for the summary in Markdown; None: no summary.
        precision: Precision of matrix products, as in `Forward`.
        texts_in_report: Whether examples are shown with their texts.
        earlier_runs: The runs that this one repeats with changes, as JSON: a list of
            `artifacts.verdict.Tried`.

    Returns:
        The metrics, with the verdict on the training.

    Raises:
        InputError: If the test split is empty, or has other labels than the model.
    """
    data = tokenized_dataset.read(tokenized_dataset_path)
    model = model_artifact.read(model_path)
    predictions = predict_split(tokenized_dataset_path, data, model_path, model, SPLIT, precision)
    train = tokenized_dataset.open_split(tokenized_dataset_path, "train")
    metrics = get_task(model.task).score(
        predictions, train, model, data, SPLIT, with_texts=texts_in_report
    )
    if metrics.calibration is not None:
        metrics.calibration.rejected_temperature = model.rejected_temperature
    tried = tuple(read_tried(earlier_runs))
    metrics.rare_labels = rare_labels(metrics, model, train, tried)
    log = list(model_artifact.read_training_log(model_path))
    facts = Facts(
        metrics,
        model,
        log,
        tried=tried,
        on_other_data=not data.splits["train"].rows,
    )
    metrics.verdict = judge(facts)
    emit("verdict", "evaluate", verdict=metrics.verdict.model_dump(mode="json"))
    report = render_report(metrics, model, log, data, texts_in_report=texts_in_report)
    metrics_artifact.write(metrics_path, metrics)
    write_text(Path(report_path), report)
    if summary_path is not None:
        write_text(Path(summary_path), render_summary(metrics, model, data))
    return metrics
