"""What training minimizes and what it measures, of labels of any problem type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, SINGLE_LABEL

if TYPE_CHECKING:
    from numpy.typing import NDArray


def loss(problem_type: str) -> Any:
    """What is measured, and what training minimizes where `training_loss` is None, from logits.

    Returns:
        Single-label: cross-entropy between the label and the softmax of the logits. Multi-label:
        binary cross-entropy, averaged over the labels. Regression: the squared error.
    """
    from keras import losses

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
    from keras import losses

    if problem_type == MULTI_LABEL:
        return losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing_factor)
    weights = balanced_class_weights(targets) if class_weights == "balanced" else None

    class TrainingLoss(losses.Loss):
        """Cross-entropy with smoothed labels, times the weight of the true label."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            y_true = tf.cast(y_true, tf.int32)  # Keras makes numbers of them where it is called
            values = losses.categorical_crossentropy(
                tf.one_hot(y_true, tf.shape(y_pred)[-1]),
                y_pred,
                from_logits=True,
                label_smoothing=label_smoothing_factor,
            )
            if weights is None:
                return values
            # No example has the last labels: pieces of words may be trained to have them.
            of_all = np.pad(weights, (0, y_pred.shape[-1] - len(weights)))
            return values * tf.gather(of_all, y_true)

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


def training_metrics(problem_type: str, label_names: Sequence[str]) -> list[Any]:
    """What is measured on the validation split while training, besides the loss."""
    import tensorflow as tf
    from keras import metrics

    class MicroF1(metrics.F1Score):
        """F1 over all labels of all rows, from logits: a label is predicted above 0."""

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            super().update_state(y_true, tf.sigmoid(y_pred), sample_weight)

    if problem_type == SINGLE_LABEL:
        return [metrics.SparseCategoricalAccuracy(name="accuracy")]
    if problem_type == MULTI_LABEL:
        f1 = MicroF1(average="micro", threshold=0.5, name="micro_f1")
        # Keras makes its variables at the first batch, which is too late inside a graph.
        nothing = np.zeros((1, len(label_names)), np.float32)
        metrics.F1Score.update_state(f1, nothing, nothing)
        return [f1]
    return [metrics.MeanAbsoluteError(name="mae")]
