"""A model's logits for every row of a split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices, models
from kfp_finetune.components.finetune.inputs import Rows, evaluation_dataset
from kfp_finetune.components.runtime import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_SIZE = 64


def predict_split(
    tokenized_dataset_path: str,
    data: TokenizedDatasetManifest,
    model_path: str,
    model: ModelManifest,
    split: str,
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Run a model over a split.

    Returns:
        The labels as the task's `targets` gives them, and the logits, shape [rows, outputs], in
        the split's own order.

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
    rows = Rows(tokenized_dataset.open_split(tokenized_dataset_path, split), data)
    dataset, order = evaluation_dataset(rows, BATCH_SIZE)
    logits = np.zeros((len(order), network.config.num_labels), np.float32)
    progress = Progress("evaluate", len(order), "rows")
    forward = models.forward(network)
    done = 0
    for features, _ in dataset:
        batch = forward(features).numpy()
        logits[order[done : done + len(batch)]] = batch
        done += len(batch)
        progress.update(done)
    return rows.labels, logits
