"""The losses of labels: cross-entropy with label smoothing and class weights, and focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.tasks.class_weights import BALANCED, named_weights
from kfp_finetune.components.tasks.loss_parameters import LossParameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A logit whose exponential is 0.
_NO_LABEL = -1e9


def cross_entropy() -> Any:
    """The Keras loss between a label and the softmax of the logits."""
    from keras import losses

    return losses.SparseCategoricalCrossentropy(from_logits=True)


def training_cross_entropy(
    parameters: LossParameters,
    targets: NDArray[np.int32],
    label_names: Sequence[str],
) -> Any:
    """The cross-entropy that training minimizes.

    Args:
        parameters: `label_smoothing_factor`: s in [0, 1). The target is 1 - s + s / labels for the
            label and s / labels for the others, as in Keras.
            `class_weights`: "balanced" multiplies an example's loss by n / (labels × n of its
            label), with examples counted in the training split, as in scikit-learn; "none" by 1.
            Weights by name multiply it by the weight of its label, which is 1 for labels that are
            not named.
            `focal_gamma`: multiplies it by (1 - p)^gamma, see `focal_loss`; 0 by 1.
        targets: Label ids of the training split.
        label_names: The label of id i is `label_names[i]`.

    Returns:
        A Keras loss; None if it equals `cross_entropy`. Weighted losses are averaged as Keras does
        it: their sum is divided by the number of examples. (PyTorch divides by the sum of their
        weights, so that a batch of rare labels alone would count no more than one of common
        labels.) Over the training split balanced weights average 1, so the learning rate keeps its
        meaning.
    """
    if parameters.is_plain:
        return None
    import tensorflow as tf
    from keras import losses

    weights = label_weights(parameters.class_weights, targets, label_names)

    class TrainingLoss(losses.Loss):
        """Focal loss, or cross-entropy with smoothed labels, times the weight of the true label."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            y_true = tf.cast(y_true, tf.int32)  # Keras turns ids into floats when it is called
            one_hot = tf.one_hot(y_true, tf.shape(y_pred)[-1])
            if parameters.focal_gamma:
                values = focal_loss(log_odds(one_hot, y_pred), parameters.focal_gamma)
            else:
                values = losses.categorical_crossentropy(
                    one_hot,
                    y_pred,
                    from_logits=True,
                    label_smoothing=parameters.label_smoothing_factor,
                )
            if weights is None:
                return values
            # The last labels may have no example, but pieces of words may be trained to have them.
            of_all = np.pad(weights, (0, y_pred.shape[-1] - len(weights)))
            return values * tf.gather(of_all, y_true)

    return TrainingLoss()


def focal_loss(log_odds: Any, gamma: float) -> Any:
    """The focal loss -(1 - p)^gamma log p of the probability p = sigmoid(log-odds).

    Lin et al. 2017, arXiv:1708.02002, equation 4. From log-odds, neither the loss nor its gradient
    overflows, for any gamma above 0. Keras' focal losses take one-hot labels and clip
    probabilities.
    """
    import tensorflow as tf

    return tf.exp(-gamma * tf.nn.softplus(log_odds)) * tf.nn.softplus(-log_odds)


def log_odds(one_hot: Any, logits: Any) -> Any:
    """The log-odds of the true label: its logit minus the logsumexp of all others.

    Args:
        one_hot: float32, shape [..., labels].
        logits: float32, shape [..., labels].

    Returns:
        float32, shape [...]; the label's softmax is their sigmoid.
    """
    import tensorflow as tf

    own = tf.reduce_sum(one_hot * logits, axis=-1)
    others = tf.where(one_hot > 0, _NO_LABEL, logits)
    return own - tf.reduce_logsumexp(others, axis=-1)


def label_weights(
    class_weights: str, targets: NDArray[np.int32], label_names: Sequence[str]
) -> NDArray[np.float32] | None:
    """The weight of every label; None if all are 1.

    Args:
        class_weights: As in `LossParameters`.
        targets: Label ids of the training split, shape [rows].
        label_names: The label of id i is `label_names[i]`.
    """
    if class_weights == BALANCED:
        return balanced_class_weights(targets)
    named = named_weights(class_weights)
    return np.array([named.get(name, 1) for name in label_names], np.float32) if named else None


def counts_and_weights(
    class_weights: str, targets: NDArray[np.int32], label_names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The examples and the weight of every label; arguments as for `label_weights`."""
    counts = np.bincount(targets, minlength=len(label_names))
    weights = label_weights(class_weights, targets, label_names)
    if weights is None:
        return counts, np.ones(len(counts), np.float32)
    return counts, np.pad(weights, (0, len(counts) - len(weights)))


def constant_cross_entropy(
    parameters: LossParameters,
    targets: NDArray[np.int32],
    label_names: Sequence[str],
) -> float:
    """The smallest `training_cross_entropy` of a constant answer, in nats.

    It is the entropy of the smoothed and weighted distribution of the labels. Of a focal loss it is
    the loss of answering that distribution, an upper bound of the smallest one.

    Args:
        parameters: As `training_cross_entropy` takes them.
        targets: Label ids of the training split; at least one.
        label_names: The label of id i is `label_names[i]`.
    """
    mean_weight, shares = _weighted_shares(parameters, targets, label_names)
    return float(mean_weight * entropy(shares, parameters.focal_gamma).sum())


def constant_softmax_logits(
    parameters: LossParameters,
    targets: NDArray[np.int32],
    label_names: Sequence[str],
) -> NDArray[np.float32]:
    """The logits of the answer that `constant_cross_entropy` is the loss of; their mean is 0.

    Args:
        parameters: As `training_cross_entropy` takes them.
        targets: Label ids of the training split; at least one.
        label_names: The label of id i is `label_names[i]`.

    Returns:
        float32, shape [labels].
    """
    _, shares = _weighted_shares(parameters, targets, label_names)
    logits = np.log(np.maximum(shares, smallest_share(targets)))
    centred: NDArray[np.float32] = (logits - logits.mean()).astype(np.float32)
    return centred


def smallest_share(targets: NDArray[Any]) -> float:
    """The share of a label without an example: that of half an example."""
    return 0.5 / len(targets)


def _weighted_shares(
    parameters: LossParameters, targets: NDArray[np.int32], label_names: Sequence[str]
) -> tuple[float, NDArray[np.float64]]:
    """The mean weight of an example, and the smoothed shares of the labels in all weights."""
    num_labels = len(label_names)
    counts = np.bincount(targets, minlength=num_labels).astype(np.float64)
    weights = label_weights(parameters.class_weights, targets, label_names)
    if weights is not None:
        counts[: len(weights)] *= weights
    shares = counts / counts.sum()
    smoothing = parameters.label_smoothing_factor
    return counts.sum() / len(targets), (1 - smoothing) * shares + smoothing / num_labels


def entropy(shares: NDArray[np.float64], focal_gamma: float = 0.0) -> NDArray[np.float64]:
    """The summands of the entropy in nats, -(1 - p)^gamma p log p, and 0 for 0."""
    return -((1 - shares) ** focal_gamma) * shares * np.log(np.where(shares > 0, shares, 1))


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
