"""The validation split after training: calibration, and the certainty of its metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.finetune.inputs import Rows
from kfp_finetune.components.finetune.logits import predict
from kfp_finetune.components.runtime import Progress, check_not_terminated, emit
from kfp_finetune.components.tasks.calibration import Fitted
from kfp_finetune.components.tasks.predictions import Predictions
from kfp_finetune.components.tasks.registry import get_problem_type, get_task

_STEP = "finetune"


@dataclass(frozen=True)
class Validated:
    """The results of a trained model on the validation split.

    Attributes:
        fitted: Temperature or decision thresholds.
        resamples: The metrics of training on bootstrap resamples of the rows; empty without rows.
    """

    fitted: Fitted = field(default_factory=Fitted)
    resamples: dict[str, list[float]] = field(default_factory=dict)


def calibrate(
    network: Any, tokenized_dataset_path: str, data: TokenizedDatasetManifest, batch_size: int
) -> Validated:
    """Fit temperature or thresholds, and resample the metrics; the same on every worker.

    Args:
        network: The model.
        tokenized_dataset_path: The folder that load_data wrote.
        data: The manifest of that folder.
        batch_size: Rows at a time.

    Raises:
        Terminated: If the process gets a signal to end; nothing has changed since the last
            checkpoint.
    """
    kind = get_problem_type(data.problem_type)
    if not data.splits["validation"].rows:
        if kind.has_probabilities:
            emit("note", _STEP, text="no validation rows: probabilities are not calibrated")
        return Validated()
    table = tokenized_dataset.open_split(tokenized_dataset_path, "validation")
    rows = Rows(table, data)
    shown = Progress(_STEP, table.num_rows, "rows")

    def progress(done: int) -> None:
        check_not_terminated()
        shown.update(done, "calibrating" if kind.has_probabilities else "validating")

    logits = predict(network, rows, progress, batch_size)
    task = get_task(data.task)
    fitted = task.calibrate(data.problem_type, rows.labels, logits)
    if fitted.rejected_temperature is not None:
        emit(
            "note",
            _STEP,
            text=f"temperature {fitted.rejected_temperature:.3g} is not used: on the validation"
            " split, it does not lower both log loss and calibration error",
        )
    if not np.isfinite(logits).all():  # evaluate reports it
        return Validated(fitted)
    predictions = Predictions(table, rows.labels, logits, rows.lengths)
    tally = task.tally(data.problem_type, predictions, data.label_names, data.positive_label)
    resampled = tally.resampled()
    names = ("loss", *kind.measured_in_training(data.positive_label))
    return Validated(fitted, {name: resampled[name].tolist() for name in names})
