"""What is fitted on the validation split after training, for the probabilities to be believed."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.finetune.inputs import Rows
from kfp_finetune.components.finetune.predictions import predict
from kfp_finetune.components.runtime import Progress, check_not_terminated, emit
from kfp_finetune.components.tasks.problem_types import REGRESSION
from kfp_finetune.components.tasks.scores.calibration import Fitted, fit

_STEP = "finetune"


def calibrate(
    network: Any, tokenized_dataset_path: str, data: TokenizedDatasetManifest, batch_size: int
) -> Fitted:
    """Fit temperature or thresholds to a trained model; every worker comes to the same.

    Args:
        network: The model.
        tokenized_dataset_path: What load_data wrote.
        data: Its manifest.
        batch_size: Rows at a time.

    Raises:
        Terminated: If the step was told to end; nothing has changed since the last checkpoint.
    """
    if data.problem_type == REGRESSION:
        return Fitted()
    if not data.splits["validation"].rows:
        emit("note", _STEP, text="no validation rows: probabilities and thresholds as they are")
        return Fitted()
    table = tokenized_dataset.open_split(tokenized_dataset_path, "validation")
    rows = Rows(table, data)
    shown = Progress(_STEP, table.num_rows, "rows")

    def progress(done: int) -> None:
        check_not_terminated()
        shown.update(done, "calibrating")

    return fit(data.problem_type, rows.labels, predict(network, rows, progress, batch_size))
