"""Losses and training metrics of each problem type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.tasks.class_weights import BALANCED, named_weights
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.losses import (
    constant_cross_entropy,
    constant_softmax_logits,
    cross_entropy,
    entropy,
    focal_loss,
    smallest_share,
    training_cross_entropy,
)
from kfp_finetune.components.tasks.losses import (
    counts_and_weights as of_one_label,
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
    parameters: LossParameters,
    targets: NDArray[Any],
    label_names: Sequence[str],
) -> Any:
    """The Keras loss that training minimizes instead of `loss`; None for `loss` itself.

    Args:
        problem_type: The problem type of the targets.
        parameters: Single-label: see `training_cross_entropy`. Multi-label:
            `label_smoothing_factor`: s in [0, 1). The target is 1 - s / 2 or s / 2, as in Keras.
            `class_weights`: multiply the loss of the examples that have the label, as `pos_weight`
            in PyTorch; "balanced": see `balanced_positive_weights`.
            `focal_gamma`: multiplies the loss of each label by (1 - p)^gamma, where p is the
            probability of having it, or of not having it, whichever is true.
        targets: The targets of the training split.
        label_names: The label of id i is `label_names[i]`.
    """
    if problem_type == SINGLE_LABEL:
        return training_cross_entropy(parameters, targets, label_names)
    if problem_type != MULTI_LABEL or parameters.is_plain:
        return None
    import tensorflow as tf
    from keras import losses

    weights = _positive_weights(parameters.class_weights, targets, label_names)
    smoothing, gamma = parameters.label_smoothing_factor, parameters.focal_gamma

    class TrainingLoss(losses.Loss):
        """Focal loss, or binary cross-entropy with smoothed labels; each label has a weight."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            if gamma:
                has = y_true > 0.5
                values = focal_loss(tf.where(has, y_pred, -y_pred), gamma)
                values *= tf.where(has, weights, 1.0)
            else:
                smoothed = (1 - smoothing) * y_true + smoothing / 2
                values = tf.nn.weighted_cross_entropy_with_logits(smoothed, y_pred, weights)
            return tf.reduce_mean(values, axis=-1)

    return TrainingLoss()


def counts_and_weights(
    problem_type: str, class_weights: str, targets: NDArray[Any], label_names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows and the weight of every label; the arguments are those of `Task`."""
    if problem_type == SINGLE_LABEL:
        return of_one_label(class_weights, targets, label_names)
    counts = targets.sum(axis=0, dtype=np.int64)
    return counts, _positive_weights(class_weights, targets, label_names)


def _positive_weights(
    class_weights: str, targets: NDArray[Any], label_names: Sequence[str]
) -> NDArray[np.float32]:
    """The weight of having each label, shape [labels]."""
    if class_weights == BALANCED:
        return balanced_positive_weights(targets)
    named = named_weights(class_weights)
    return np.array([named.get(name, 1) for name in label_names], np.float32)


def balanced_positive_weights(targets: NDArray[Any]) -> NDArray[np.float32]:
    """The weight of having each label: rows without it / rows with it, as PyTorch suggests.

    It makes both sides of a label's loss equally heavy. (`pos_weight` of `BCEWithLogitsLoss`.)

    Args:
        targets: 0 or 1 for the training split, shape [rows, labels].

    Returns:
        float32, shape [labels]; 1 for a label that no row or every row has, because nothing tells
        its sides apart.
    """
    present = targets.sum(axis=0, dtype=np.float64)
    absent = len(targets) - present
    weights = np.ones(len(present), np.float32)
    np.divide(absent, present, out=weights, where=(present > 0) & (absent > 0), casting="same_kind")
    return weights


def constant_loss(
    problem_type: str,
    parameters: LossParameters,
    targets: NDArray[Any],
    label_names: Sequence[str],
) -> float:
    """The training loss of the best constant answer; the arguments are those of `Task`.

    Returns:
        Single-label: the entropy of the labels. Multi-label: the entropy of each label, averaged
        over the labels. Regression: the variance.
    """
    if problem_type == SINGLE_LABEL:
        return constant_cross_entropy(parameters, targets, label_names)
    if problem_type == MULTI_LABEL:
        weight, share = _weighted_shares(parameters, targets, label_names)
        gamma = parameters.focal_gamma
        return float((weight * (entropy(share, gamma) + entropy(1 - share, gamma))).mean())
    return float(targets.var(dtype=np.float64))


def constant_logits(
    problem_type: str,
    parameters: LossParameters,
    targets: NDArray[Any],
    label_names: Sequence[str],
) -> NDArray[np.float32]:
    """The logits of the best constant answer; the arguments are those of `Task`.

    Returns:
        float32, shape [outputs]. Single-label: the logarithms of the labels' shares. Multi-label:
        the log-odds of each label. Regression: the mean.
    """
    if problem_type == SINGLE_LABEL:
        return constant_softmax_logits(parameters, targets, label_names)
    if problem_type == MULTI_LABEL:
        _, share = _weighted_shares(parameters, targets, label_names)
        least = smallest_share(targets)
        share = np.clip(share, least, 1 - least)
        return np.log(share / (1 - share)).astype(np.float32)
    return np.full(1, targets.mean(dtype=np.float64), np.float32)


def _weighted_shares(
    parameters: LossParameters, targets: NDArray[Any], label_names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each label, the mean weight of an example, and the smoothed share of having it."""
    smoothing = parameters.label_smoothing_factor
    smoothed = (1 - smoothing) * targets.mean(axis=0, dtype=np.float64) + smoothing / 2
    present = smoothed * _positive_weights(parameters.class_weights, targets, label_names)
    total = present + 1 - smoothed
    return total, present / total


def training_metrics(
    problem_type: str, label_names: Sequence[str], positive_label: str | None
) -> list[Any]:
    """Keras metrics of the validation split during training, besides the loss."""
    from keras import metrics

    from kfp_finetune.components.tasks.label_metrics import F1, one_label, several_labels

    count = len(label_names)
    if problem_type == SINGLE_LABEL:
        accuracy = metrics.SparseCategoricalAccuracy(name="accuracy")
        found = [accuracy, F1("macro", count, one_label)]
        if positive_label:
            found.append(F1(label_names.index(positive_label), count, one_label))
        return found
    if problem_type == MULTI_LABEL:
        return [F1("micro", count, several_labels), F1("macro", count, several_labels)]
    return [metrics.MeanAbsoluteError(name="mae")]
