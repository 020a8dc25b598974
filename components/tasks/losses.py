"""The cross-entropy of single labels, with label smoothing and class weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.tasks.class_weights import BALANCED, NONE, named_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cross_entropy() -> Any:
    """The Keras loss between a label and the softmax of the logits."""
    from keras import losses

    return losses.SparseCategoricalCrossentropy(from_logits=True)


def training_cross_entropy(
    label_smoothing_factor: float,
    class_weights: str,
    targets: NDArray[np.int32],
    label_names: Sequence[str],
) -> Any:
    """The cross-entropy that training minimizes.

    Args:
        label_smoothing_factor: s in [0, 1). The target is 1 - s + s / labels for the label and
            s / labels for the others, as in Keras.
        class_weights: "balanced" multiplies an example's loss by n / (labels × n of its label),
            with examples counted in the training split, as in scikit-learn; "none" by 1. Weights by
            name multiply it by the weight of its label, which is 1 for labels that are not named.
        targets: Label ids of the training split.
        label_names: The label of id i is `label_names[i]`.

    Returns:
        A Keras loss; None if it equals `cross_entropy`. Weighted losses are averaged as Keras does
        it: their sum is divided by the number of examples. (PyTorch divides by the sum of their
        weights, so that a batch of rare labels alone would count no more than one of common
        labels.) Over the training split balanced weights average 1, so the learning rate keeps its
        meaning.
    """
    if label_smoothing_factor == 0 and class_weights == NONE:
        return None
    import tensorflow as tf
    from keras import losses

    weights = label_weights(class_weights, targets, label_names)

    class TrainingLoss(losses.Loss):
        """Cross-entropy with smoothed labels, times the weight of the true label."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            y_true = tf.cast(y_true, tf.int32)  # Keras turns ids into floats when it is called
            values = losses.categorical_crossentropy(
                tf.one_hot(y_true, tf.shape(y_pred)[-1]),
                y_pred,
                from_logits=True,
                label_smoothing=label_smoothing_factor,
            )
            if weights is None:
                return values
            # The last labels may have no example, but pieces of words may be trained to have them.
            of_all = np.pad(weights, (0, y_pred.shape[-1] - len(weights)))
            return values * tf.gather(of_all, y_true)

    return TrainingLoss()


def label_weights(
    class_weights: str, targets: NDArray[np.int32], label_names: Sequence[str]
) -> NDArray[np.float32] | None:
    """The weight of every label; None if all are 1.

    Args:
        class_weights: As `training_cross_entropy` takes it.
        targets: Label ids of the training split, shape [rows].
        label_names: The label of id i is `label_names[i]`.
    """
    if class_weights == BALANCED:
        return balanced_class_weights(targets)
    named = named_weights(class_weights)
    return np.array([named.get(name, 1) for name in label_names], np.float32) if named else None


def constant_cross_entropy(
    label_smoothing_factor: float,
    class_weights: str,
    targets: NDArray[np.int32],
    label_names: Sequence[str],
) -> float:
    """The smallest `training_cross_entropy` of a constant answer, in nats.

    It is the entropy of the smoothed and weighted distribution of the labels.

    Args:
        label_smoothing_factor: As `training_cross_entropy` takes it.
        class_weights: As `training_cross_entropy` takes it.
        targets: Label ids of the training split; at least one.
        label_names: The label of id i is `label_names[i]`.
    """
    num_labels = len(label_names)
    counts = np.bincount(targets, minlength=num_labels).astype(np.float64)
    weights = label_weights(class_weights, targets, label_names)
    if weights is not None:
        counts[: len(weights)] *= weights
    shares = counts / counts.sum()
    smoothed = (1 - label_smoothing_factor) * shares + label_smoothing_factor / num_labels
    return float(counts.sum() / len(targets) * entropy(smoothed).sum())


def entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The summands of the entropy in nats: -p log p, and 0 for 0."""
    return -shares * np.log(np.where(shares > 0, shares, 1))


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
