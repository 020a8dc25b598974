"""Keras metrics of labels during training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf
from keras import metrics

Marks = Callable[[Any, Any], tuple[Any, Any]]
Average = Literal["micro", "macro"] | int


class CountedF1(metrics.Metric):
    """F1 of what a subclass counts for every label.

    Args:
        name: The metric's name.
        average: "micro": over all decisions together. "macro": the mean over the labels that occur
            or are predicted, so that a rare label counts as much as a frequent one. A number: that
            label alone.
        num_labels: Number of labels.
    """

    def __init__(self, name: str, average: Average, num_labels: int) -> None:
        super().__init__(name=name)
        self._average = average
        self._right, self._true, self._given = (
            self.add_weight(name=name, shape=(num_labels,), initializer="zeros")
            for name in ("right", "true", "given")
        )

    def count(self, right: Any, true: Any, given: Any) -> None:
        """Add what is correct, what is true and what is predicted, each of shape [labels]."""
        self._right.assign_add(right)
        self._true.assign_add(true)
        self._given.assign_add(given)

    def result(self) -> Any:
        """2 × correct ÷ (true + predicted), averaged; 0 if there are none."""
        right, both = 2 * self._right, self._true + self._given
        if isinstance(self._average, int):
            return tf.math.divide_no_nan(right[self._average], both[self._average])
        if self._average == "micro":
            return tf.math.divide_no_nan(tf.reduce_sum(right), tf.reduce_sum(both))
        occurring = tf.reduce_sum(tf.cast(both > 0, tf.float32))
        f1 = tf.math.divide_no_nan(right, both)
        return tf.math.divide_no_nan(tf.reduce_sum(f1), occurring)


class F1(CountedF1):
    """F1 over labels from logits, as `metrics.json` has it where no threshold was fitted.

    Args:
        average: As of `CountedF1`. It names the metric, `micro_f1`, `macro_f1` or `f1`.
        num_labels: Number of labels.
        marks: The true and the predicted labels of a batch as 0 or 1, `one_label` or
            `several_labels`.
    """

    def __init__(self, average: Average, num_labels: int, marks: Marks) -> None:
        super().__init__("f1" if isinstance(average, int) else f"{average}_f1", average, num_labels)
        self._marks = marks

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch.

        Args:
            y_true: Label ids, shape [...]; of several labels 0 or 1, shape [..., labels].
            y_pred: Logits, shape [..., labels].
            sample_weight: Above 0 where there is a label, shape [...]; None: everywhere.
        """
        true, given = self._marks(y_true, y_pred)
        if sample_weight is not None:
            counted = tf.cast(tf.cast(sample_weight, tf.float32) > 0, tf.float32)[..., tf.newaxis]
            true, given = true * counted, given * counted
        self.count(
            *(
                tf.reduce_sum(values, axis=list(range(len(values.shape) - 1)))
                for values in (true * given, true, given)
            )
        )


def one_label(ids: Any, logits: Any) -> tuple[Any, Any]:
    """The label of each row or word, and the one with the largest logit."""
    labels = logits.shape[-1]
    return (
        tf.one_hot(tf.cast(ids, tf.int32), labels),
        tf.one_hot(tf.argmax(logits, axis=-1), labels),
    )


def several_labels(marks: Any, logits: Any) -> tuple[Any, Any]:
    """The labels of each row, and those with a logit above 0: a probability above 0.5."""
    return tf.cast(marks, tf.float32), tf.cast(logits > 0, tf.float32)
