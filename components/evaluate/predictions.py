"""A model's logits for every row of a split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices, models
from kfp_finetune.components.finetune.inputs import Rows
from kfp_finetune.components.finetune.predictions import predict
from kfp_finetune.components.runtime import Progress

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a model says of a split, row by row in the split's own order.

    Attributes:
        table: The split.
        labels: As the task's `targets` gives them.
        logits: Shape [rows, outputs].
        lengths: Tokens of every row, shape [rows].
    """

    table: pa.Table
    labels: NDArray[Any]
    logits: NDArray[np.float32]
    lengths: NDArray[np.int64]


def predict_split(
    tokenized_dataset_path: str,
    data: TokenizedDatasetManifest,
    model_path: str,
    model: ModelManifest,
    split: str,
) -> Predictions:
    """Run a model over a split.

    Raises:
        InputError: If the split is empty, or its labels are not the model's.
    """
    if (data.problem_type, data.label_names) != (model.problem_type, model.label_names):
        raise InputError(
            "the data has other labels than the model",
            where=f"{data.dataset}: {data.problem_type} {', '.join(data.label_names[:5])}",
            expected=f"{model.problem_type} {', '.join(model.label_names[:5])}",
            remedy="evaluate on data with the model's labels",
        )
    if not data.splits[split].rows:
        raise InputError(
            f"the {split} split is empty",
            where=data.dataset,
            expected="rows to evaluate on",
            remedy="give --test-dataset, or a --test-fraction above 0",
        )
    devices.configure(model.seed)
    network = models.load_trained(Path(model_path), model)
    table = tokenized_dataset.open_split(tokenized_dataset_path, split)
    rows = Rows(table, data)
    progress = Progress("evaluate", table.num_rows, "rows")
    return Predictions(table, rows.labels, predict(network, rows, progress.update), rows.lengths)
