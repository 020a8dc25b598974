"""Calibration on the validation split after training: temperature or decision thresholds."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.finetune.inputs import Rows
from kfp_finetune.components.finetune.logits import predict
from kfp_finetune.components.runtime import Progress, check_not_terminated, emit
from kfp_finetune.components.tasks.calibration import Fitted
from kfp_finetune.components.tasks.registry import get_problem_type, get_task

_STEP = "finetune"


def calibrate(
    network: Any, tokenized_dataset_path: str, data: TokenizedDatasetManifest, batch_size: int
) -> Fitted:
    """Fit temperature or thresholds to a trained model; every worker gets the same result.

    Args:
        network: The model.
        tokenized_dataset_path: The folder that load_data wrote.
        data: The manifest of that folder.
        batch_size: Rows at a time.

    Raises:
        Terminated: If the process gets a signal to end; nothing has changed since the last
            checkpoint.
    """
    if not get_problem_type(data.problem_type).has_probabilities:
        return Fitted()
    if not data.splits["validation"].rows:
        emit("note", _STEP, text="no validation rows: probabilities are not calibrated")
        return Fitted()
    table = tokenized_dataset.open_split(tokenized_dataset_path, "validation")
    rows = Rows(table, data)
    shown = Progress(_STEP, table.num_rows, "rows")

    def progress(done: int) -> None:
        check_not_terminated()
        shown.update(done, "calibrating")

    logits = predict(network, rows, progress, batch_size)
    return get_task(data.task).calibrate(data.problem_type, rows.labels, logits)
