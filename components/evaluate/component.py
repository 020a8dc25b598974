"""The KFP component evaluate."""

from kfp import dsl

from kfp_finetune.components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    tokenized_dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    classification_metrics: dsl.Output[dsl.ClassificationMetrics],
    metrics_json: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    """Score a model on the test split and write the report.

    Args:
        tokenized_dataset: What load_data wrote.
        model: What finetune wrote.

    Returns:
        metrics: Loss, accuracy, macro-F1 and the other scalars of the problem type.
        classification_metrics: The confusion matrix, where every example has one label.
        metrics_json: All metrics, with the per-class table, for machines.
        report: One self-contained page: curves, confusion matrix, per-class table, as they apply.
    """
    from kfp_finetune.components import runtime

    with runtime.step("evaluate", metrics_json.path, report.path):
        from kfp_finetune.components.evaluate import confusion, evaluation

        result = evaluation.evaluate(
            tokenized_dataset_path=tokenized_dataset.path,
            model_path=model.path,
            metrics_path=metrics_json.path,
            report_path=report.path,
        )
        for name, value in result.metrics.items():
            metrics.log_metric(name, value)
        for label_names, matrix in confusion.confusion_matrices(result):
            classification_metrics.log_confusion_matrix(label_names, matrix)
