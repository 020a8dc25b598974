"""Losses and training metrics of each problem type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.tasks.class_weights import NONE
from kfp_finetune.components.tasks.losses import (
    constant_cross_entropy,
    cross_entropy,
    entropy,
    label_weights,
    training_cross_entropy,
)
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    SINGLE_LABEL,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def loss(problem_type: str) -> Any:
    """The Keras loss of logits.

    Returns:
        Single-label: cross-entropy between the label and the softmax of the logits. Multi-label:
        binary cross-entropy, averaged over the labels. Regression: the squared error.
    """
    from keras import losses

    if problem_type == SINGLE_LABEL:
        return cross_entropy()
    if problem_type == MULTI_LABEL:
        return losses.BinaryCrossentropy(from_logits=True)
    return losses.MeanSquaredError()


def training_loss(
    problem_type: str,
    label_smoothing_factor: float,
    class_weights: str,
    targets: NDArray[Any],
    label_names: Sequence[str],
) -> Any:
    """The Keras loss that training minimizes instead of `loss`; None for `loss` itself.

    Args:
        problem_type: The problem type of the targets.
        label_smoothing_factor: s in [0, 1). Single-label: see `training_cross_entropy`.
            Multi-label: the target is 1 - s / 2 or s / 2, as in Keras.
        class_weights: Single-label: see `training_cross_entropy`. Multi-label: weights by name
            multiply the loss of the examples that have the label, as `pos_weight` in PyTorch.
        targets: The targets of the training split.
        label_names: The label of id i is `label_names[i]`.
    """
    if problem_type == SINGLE_LABEL:
        return training_cross_entropy(label_smoothing_factor, class_weights, targets, label_names)
    if problem_type != MULTI_LABEL or (label_smoothing_factor == 0 and class_weights == NONE):
        return None
    import tensorflow as tf
    from keras import losses

    weights = _positive_weights(class_weights, targets, label_names)

    class TrainingLoss(losses.Loss):
        """Binary cross-entropy with smoothed labels and a weight for having each label."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            smoothed = (1 - label_smoothing_factor) * y_true + label_smoothing_factor / 2
            values = tf.nn.weighted_cross_entropy_with_logits(smoothed, y_pred, weights)
            return tf.reduce_mean(values, axis=-1)

    return TrainingLoss()


def _positive_weights(
    class_weights: str, targets: NDArray[Any], label_names: Sequence[str]
) -> NDArray[np.float32]:
    weights = label_weights(class_weights, targets, label_names)
    return np.ones(len(label_names), np.float32) if weights is None else weights


def constant_loss(
    problem_type: str,
    label_smoothing_factor: float,
    class_weights: str,
    targets: NDArray[Any],
    label_names: Sequence[str],
) -> float:
    """The training loss of the best constant answer; the arguments are those of `Task`.

    Returns:
        Single-label: the entropy of the labels. Multi-label: the entropy of each label, averaged
        over the labels. Regression: the variance.
    """
    if problem_type == SINGLE_LABEL:
        return constant_cross_entropy(label_smoothing_factor, class_weights, targets, label_names)
    if problem_type == MULTI_LABEL:
        frequency = targets.mean(axis=0, dtype=np.float64)
        smoothed = (1 - label_smoothing_factor) * frequency + label_smoothing_factor / 2
        present = smoothed * _positive_weights(class_weights, targets, label_names)
        total = present + 1 - smoothed
        share = present / total
        return float((total * (entropy(share) + entropy(1 - share))).mean())
    return float(targets.var(dtype=np.float64))


def training_metrics(problem_type: str, label_names: Sequence[str]) -> list[Any]:
    """Keras metrics of the validation split during training, besides the loss."""
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
        # Keras creates its variables at the first batch, which is too late inside a graph.
        nothing = np.zeros((1, len(label_names)), np.float32)
        metrics.F1Score.update_state(f1, nothing, nothing)
        return [f1]
    return [metrics.MeanAbsoluteError(name="mae")]
