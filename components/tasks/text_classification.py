"""Text classification: one label, several labels or a number for a text or a pair of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.problem_types import (
    MULTI_LABEL,
    PROBLEM_TYPES,
    REGRESSION,
    SINGLE_LABEL,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

NAME = "text-classification"


def check_problem_type(problem_type: str) -> None:
    """Check the parameter.

    Raises:
        InputError: If it is neither "auto" nor a known problem type.
    """
    if problem_type not in ("auto", *PROBLEM_TYPES):
        raise InputError(
            f"problem_type '{problem_type}' is not known",
            where="problem_type",
            expected="one of auto, " + ", ".join(PROBLEM_TYPES),
            remedy="--problem-type auto",
        )


def check_learnable(labels: Labels, used: set[Any], rows: int, where: str) -> None:
    """Check that there is something to learn.

    Args:
        labels: What the values mean.
        used: The ids, or the numbers, that occur in the training rows.
        rows: Training rows.
        where: The source and the column.

    Raises:
        InputError: If every row has the same label, or about every row one of its own.
    """
    if len(used) < (1 if labels.problem_type == MULTI_LABEL else 2):
        name = next((labels.names[i] if labels.names else f"{i:g}" for i in used), "none")
        raise InputError(
            f"every row has the same label: {name!r}",
            where=where,
            expected="at least two different labels",
            remedy="name another --label-column, or data with more labels",
        )
    if labels.problem_type == SINGLE_LABEL and len(used) > rows / 2:
        raise InputError(
            f"{len(used):,} different labels in {rows:,} rows",
            where=where,
            expected="labels that repeat; this looks like an id or a text",
            remedy="name another --label-column",
        )


def label_type(problem_type: str) -> pa.DataType:
    """How labels are stored: int32 ids, lists of int32 ids, or float32 numbers."""
    import pyarrow as pa

    types = {SINGLE_LABEL: pa.int32(), MULTI_LABEL: pa.list_(pa.int32()), REGRESSION: pa.float32()}
    return types[problem_type]


def num_outputs(label_names: list[str]) -> int:
    """The width of the model's head: one output per label, or one number."""
    return max(1, len(label_names))


def targets(column: pa.ChunkedArray, problem_type: str, label_names: list[str]) -> NDArray[Any]:
    """Stored labels as the loss takes them.

    Returns:
        Single-label: ids, int32, shape [rows]. Multi-label: 0 or 1, float32, shape [rows, labels].
        Regression: float32, shape [rows, 1].
    """
    if problem_type == SINGLE_LABEL:
        return column.to_numpy().astype(np.int32)  # type: ignore[no-any-return]
    if problem_type == REGRESSION:
        return column.to_numpy().astype(np.float32)[:, np.newaxis]  # type: ignore[no-any-return]
    array = column.combine_chunks()
    offsets = array.offsets.to_numpy()
    ids = array.values.to_numpy()[offsets[0] : offsets[-1]]
    marked = np.zeros((len(array), len(label_names)), np.float32)
    marked[np.repeat(np.arange(len(array)), np.diff(offsets)), ids] = 1
    return marked


def loss(problem_type: str) -> Any:
    """What training minimizes, from logits, averaged over the examples of an update.

    Returns:
        Single-label: cross-entropy between the label and the softmax of the logits. Multi-label:
        binary cross-entropy, averaged over the labels. Regression: the squared error.
    """
    from tf_keras import losses

    if problem_type == SINGLE_LABEL:
        return losses.SparseCategoricalCrossentropy(from_logits=True)
    if problem_type == MULTI_LABEL:
        return losses.BinaryCrossentropy(from_logits=True)
    return losses.MeanSquaredError()


def training_metrics(problem_type: str) -> list[Any]:
    """What is measured on the validation split while training, besides the loss."""
    import tensorflow as tf
    from tf_keras import metrics

    class MicroF1(metrics.F1Score):
        """F1 over all labels of all rows, from logits: a label is predicted above 0."""

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            super().update_state(y_true, tf.sigmoid(y_pred), sample_weight)

    if problem_type == SINGLE_LABEL:
        return [metrics.SparseCategoricalAccuracy(name="accuracy")]
    if problem_type == MULTI_LABEL:
        return [MicroF1(average="micro", threshold=0.5, name="micro_f1")]
    return [metrics.MeanAbsoluteError(name="mae")]
