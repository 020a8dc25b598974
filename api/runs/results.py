"""Fill a run's record with results from the artifacts of its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kfp_finetune.components.artifacts import leaderboard, metrics, model
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.not_given import left_to_choose
from kfp_finetune.runs.folder import RunFolder, RunRecord
from kfp_finetune.runs.links import link_or_copy

# Pages get readable names with a suffix for browsers; KFP's artifacts have none.
PAGES = {
    "data_report": "data.html",
    "learning_rate_curve": "learning_rate.html",
    "report": "report.html",
}


def used(manifest: ModelManifest) -> dict[str, int | float]:
    """The values of the parameters that are chosen where they are not given."""
    return {
        "max_length": manifest.max_length,
        "num_train_epochs": manifest.num_train_epochs,
        "learning_rate": manifest.optimizer.schedule.learning_rate,
    }


def note_chosen(record: RunRecord, values: Mapping[str, Any]) -> None:
    """Record which of these values were chosen by a step.

    Args:
        record: The run's record.
        values: What a step returned or used, by name.
    """
    names = left_to_choose(record.parameters)
    record.chosen |= {name: values[name] for name in names if name in values}


def collect(folder: RunFolder, artifacts: Iterable[str]) -> None:
    """Record the contents of a step's artifacts: metrics, early stopping, environment, pages.

    Args:
        folder: The run, whose record has the artifacts' paths.
        artifacts: The names of the step's artifacts.
    """
    record = folder.record
    for name in artifacts:
        path = folder.path / record.artifacts.get(name, name)
        if name in PAGES:
            link_or_copy(path, folder.path / PAGES[name])
        elif name == "model":
            manifest = model.read(path)
            record.stopped_at = manifest.stopped_at
            record.resumed_at = manifest.resumed_at
            record.differences = manifest.differences
            if record.purpose == "training":  # a range test's model is not to be ranked
                record.validation_metrics = manifest.validation_metrics
            record.environment |= manifest.environment
            # A fetched run has only the artifacts, not the values that its steps returned.
            record.outputs = {"num_train_steps": manifest.num_train_steps} | record.outputs
            if record.pipeline == "finetune":
                note_chosen(record, used(manifest))
        elif name == "leaderboard":
            record.candidates = [c.model_dump() for c in leaderboard.read(path).candidates]
        elif name == "metrics_json":
            measured = metrics.read(path)
            record.metrics, record.verdict = measured.metrics, measured.verdict
