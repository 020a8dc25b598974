"""The KFP component evaluate."""

from typing import NamedTuple

from kfp import dsl

from kfp_finetune.components.image import IMAGE, versioned


@versioned
@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    tokenized_dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    classification_metrics: dsl.Output[dsl.ClassificationMetrics],
    metrics_json: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    precision: str = "auto",
    texts_in_report: bool = True,
    earlier_runs: str = "",
) -> NamedTuple("Evaluated", [("artifact_uris", dict), ("verdict", dict)]):
    """Score a model on the test split and write the report.

    Args:
        tokenized_dataset: Tokenized dataset from load_data.
        model: Trained model from finetune.
        precision: Precision of matrix products: auto (bfloat16 if the processor is faster with it
            and the probabilities of a sample stay within 0.01 of those in float32), float32 or
            bfloat16.
        texts_in_report: Show example texts in the report; set it to false for private data.
        earlier_runs: Verdicts on the runs that this one repeats with changes, as JSON, so that
            advice does not lead back; filled in by kfp-finetune.

    Returns:
        metrics: Loss, accuracy, macro-F1 and the other scalars of the problem type.
        classification_metrics: If every example has one label, the confusion matrix, limited to the
            most confused labels if there are many; with two labels also the ROC curve.
        metrics_json: All metrics with intervals, tables, calibration, slices and mistakes, for
            machines.
        report: One self-contained page: curves, confusion matrix, tables, calibration, mistakes.
        summary: Verdict, model, data and five metrics, for the Compare page.
        artifact_uris: The URI of each artifact, by output; KFP's cache keeps it.
        verdict: The verdict on the training, as in metrics_json; KFP's cache keeps it.
    """
    from kfp_finetune.components import runtime

    written = (metrics, classification_metrics, metrics_json, report, summary)
    with runtime.step("evaluate", *written) as uris:
        from kfp_finetune.components import metadata, quiet

        quiet.import_tensorflow()
        from kfp_finetune.components.evaluate import confusion, evaluation

        result = evaluation.evaluate(
            tokenized_dataset_path=tokenized_dataset.path,
            model_path=model.path,
            metrics_path=metrics_json.path,
            report_path=report.path,
            summary_path=summary.path,
            precision=precision,
            texts_in_report=texts_in_report,
            earlier_runs=earlier_runs,
        )
        for name, value in metadata.finite(result.metrics).items():
            metrics.log_metric(name, value)
        for label_names, matrix in confusion.confusion_matrices(result):
            classification_metrics.log_confusion_matrix(label_names, matrix)
        for curve in confusion.roc_curves(result):
            classification_metrics.log_roc_curve(*curve)
    return (uris, result.verdict.model_dump(mode="json") if result.verdict else {})
