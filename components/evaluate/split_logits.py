"""A model's logits for every row of a split."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices
from kfp_finetune.components.finetune.inputs import Rows
from kfp_finetune.components.finetune.logits import predict
from kfp_finetune.components.models.loading import load_trained
from kfp_finetune.components.runtime import Progress
from kfp_finetune.components.tasks.predictions import Predictions


def predict_split(
    tokenized_dataset_path: str,
    data: TokenizedDatasetManifest,
    model_path: str,
    model: ModelManifest,
    split: str,
    precision: str = "float32",
) -> Predictions:
    """Run a model over a split.

    Args:
        tokenized_dataset_path: The dataset that load_data wrote.
        data: Its manifest.
        model_path: The model that finetune wrote.
        model: Its manifest.
        split: The split's name.
        precision: Precision of matrix products, as in `Forward`.

    Raises:
        InputError: If the split is empty, or has other labels or columns than the model.
    """
    if (data.task, data.problem_type, data.label_names) != (
        model.task,
        model.problem_type,
        model.label_names,
    ):
        raise InputError(
            "the data has other labels than the model",
            where=f"{data.dataset}: {data.problem_type} {', '.join(data.label_names[:5])}",
            expected=f"{model.problem_type} {', '.join(model.label_names[:5])}",
            remedy="evaluate on data with the model's labels",
        )
    pairs = data.text_pair_column is not None
    if pairs != (model.text_pair_column is not None):
        raise InputError(
            f"the data has {'pairs of texts' if pairs else 'one text'} in every row, but the model"
            f" was trained on {'one text' if pairs else 'pairs of texts'}",
            where=data.dataset,
            expected="the columns that the model reads: "
            + ", ".join(c for c in (model.text_column, model.text_pair_column) if c),
            remedy=f"--text-column {data.text_column}"
            if pairs
            else "name the second text with --text-pair-column",
        )
    if not data.splits[split].rows:
        raise InputError(
            f"the {split} split is empty",
            where=data.dataset,
            expected="rows to evaluate on",
            remedy="give --test-dataset, or a --test-fraction above 0",
        )
    devices.configure(model.seed)
    network = load_trained(Path(model_path), model)
    table = tokenized_dataset.open_split(tokenized_dataset_path, split)
    rows = Rows(table, data)
    progress = Progress("evaluate", table.num_rows, "rows")
    logits = predict(network, rows, progress.update, precision=precision)
    return Predictions(table, rows.labels, logits, rows.lengths)
