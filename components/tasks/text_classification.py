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
CLASS_WEIGHTS = ("none", "balanced")


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


def check_training_loss(
    label_smoothing_factor: float, class_weights: str, problem_type: str
) -> None:
    """Check the parameters of `training_loss`.

    Args:
        label_smoothing_factor: As given.
        class_weights: As given.
        problem_type: "auto" where it is not known yet: then the values are checked alone.

    Raises:
        InputError: If one has no such value, or has no meaning for the problem type.
    """
    problems = []
    if not 0 <= label_smoothing_factor < 1:
        problems.append(
            InputError(
                f"label_smoothing_factor is {label_smoothing_factor:g}",
                where="label_smoothing_factor",
                expected="a share of at least 0 and below 1",
                remedy="--label-smoothing-factor 0.1",
            )
        )
    elif label_smoothing_factor and problem_type == REGRESSION:
        problems.append(
            InputError(
                f"label_smoothing_factor is {label_smoothing_factor:g}, and a number to predict"
                " cannot be smoothed",
                where="label_smoothing_factor",
                expected=f"{SINGLE_LABEL} or {MULTI_LABEL}",
                remedy="leave --label-smoothing-factor out",
            )
        )
    if class_weights not in CLASS_WEIGHTS:
        problems.append(
            InputError(
                f"class_weights '{class_weights}' is not known",
                where="class_weights",
                expected="one of " + ", ".join(CLASS_WEIGHTS),
                remedy="--class-weights balanced",
            )
        )
    elif class_weights == "balanced" and problem_type in (MULTI_LABEL, REGRESSION):
        problems.append(
            InputError(
                f"class_weights is balanced, and in {problem_type} a row is not of one class",
                where="class_weights",
                expected=SINGLE_LABEL,
                remedy="leave --class-weights out",
            )
        )
    if problems:
        raise InputError.of_all(problems)


def loss(problem_type: str) -> Any:
    """What is measured, and what training minimizes where `training_loss` is None, from logits.

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


def training_loss(
    problem_type: str, label_smoothing_factor: float, class_weights: str, targets: NDArray[Any]
) -> Any:
    """What training minimizes instead of `loss`, where it is to be something else.

    Args:
        problem_type: What the targets are.
        label_smoothing_factor: s in [0, 1). Single-label: the target is 1 - s + s / labels for the
            label and s / labels for the others. Multi-label: 1 - s / 2 or s / 2. Both as in Keras.
        class_weights: "balanced": an example's loss is multiplied by n / (labels × n of its label),
            with examples counted in the training split, as in scikit-learn. "none": by 1.
        targets: Of the training split, as `targets` returns them.

    Returns:
        A Keras loss, or None for `loss`. The weighted losses are averaged as Keras does it: their
        sum is divided by the number of examples. (PyTorch divides by the sum of their weights, so
        that a batch of rare labels alone would count no more than one of common labels.) Over the
        training split the weights average 1, so the learning rate keeps its meaning.
    """
    if label_smoothing_factor == 0 and class_weights == "none":
        return None
    import tensorflow as tf
    from tf_keras import losses

    if problem_type == MULTI_LABEL:
        return losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing_factor)
    weights = balanced_class_weights(targets) if class_weights == "balanced" else None

    class TrainingLoss(losses.Loss):
        """Cross-entropy with smoothed labels, times the weight of the true label."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            values = losses.categorical_crossentropy(
                tf.one_hot(y_true, tf.shape(y_pred)[-1]),
                y_pred,
                from_logits=True,
                label_smoothing=label_smoothing_factor,
            )
            return values if weights is None else values * tf.gather(weights, y_true)

    return TrainingLoss()


def balanced_class_weights(targets: NDArray[np.int32]) -> NDArray[np.float32]:
    """The weight of every label: n / (labels that occur × n of this one).

    Args:
        targets: Label ids of the training split, shape [rows].

    Returns:
        float32, shape [highest id + 1]; 0 for a label without an example.
    """
    counts = np.bincount(targets)
    occurring = np.maximum(counts, 1) * np.count_nonzero(counts)
    return np.where(counts > 0, len(targets) / occurring, 0).astype(np.float32)


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
