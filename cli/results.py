"""What a run's record says at its end, read from the artifacts the steps left."""

from __future__ import annotations

from kfp_finetune.cli.links import link_or_copy
from kfp_finetune.cli.run_folder import RunFolder
from kfp_finetune.components.artifacts import metrics, model

# Pages under names that a person finds and a browser opens: KFP gives artifacts no file type.
PAGES = {"report": "report.html", "learning_rate_curve": "learning_rate.html"}


def collect(folder: RunFolder) -> None:
    """Fill in metrics, early stopping and environment, and link the pages; whatever is there."""
    record = folder.record
    for artifact, page in PAGES.items():
        if artifact in record.artifacts:
            link_or_copy(folder.path / record.artifacts[artifact], folder.path / page)
    if "model" in record.artifacts:
        manifest = model.read(folder.path / record.artifacts["model"])
        record.stopped_at = manifest.stopped_at
        record.validation_metrics = manifest.validation_metrics
        record.environment |= manifest.environment
    if "metrics_json" in record.artifacts:
        record.metrics = metrics.read(folder.path / record.artifacts["metrics_json"]).metrics
