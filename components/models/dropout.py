"""Dropout that is a function of a seed."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_RANDOM_BITS = 16
# Between the seeds of two passes through the same layers: more than there are dropout layers, and
# 128 passes stay below the 2**16 that is between two replicas. The other half of a seed counts
# updates.
_APART = 2**9


class Dropout(keras.layers.Layer):
    """Dropout without a state: the same seed drops the same elements.

    It draws 16 bits an element, so the rate is rounded to a multiple of 2^-16 below 1.

    Args:
        rate: Share of the elements that become 0.

    Attributes:
        number: Of this layer in its model, so that no two draw the same.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.number = 0
        self.built = True

    def call(self, inputs: Any, seed: Any = None) -> Any:
        """Drop elements and scale the others up, so that the mean stays.

        Args:
            inputs: Any shape.
            seed: Of this pass through the model, int32, shape [2]; None: nothing is dropped.
        """
        if seed is None or not self.rate:
            return inputs
        values = 2**_RANDOM_BITS
        dropped = min(round(self.rate * values), values - 1)
        size = tf.size(inputs, out_type=tf.int64)
        words = tf.random.stateless_uniform(
            [-(-size // 4)],
            fold(seed, self.number),
            minval=None,
            maxval=None,
            dtype=tf.uint64,
        )
        drawn = tf.reshape(tf.bitcast(words, tf.int16), [-1])[:size]
        kept = tf.reshape(drawn, tf.shape(inputs)) >= tf.constant(dropped - values // 2, tf.int16)
        outputs = inputs * tf.where(kept, tf.cast(values / (values - dropped), inputs.dtype), 0)
        return tf.ensure_shape(outputs, inputs.shape)  # later layers need the static shape


def fold(seed: Any, number: Any) -> Any:
    """The seed of part `number` of what a seed is for; None stays None."""
    return None if seed is None else seed + tf.stack([number, 0])


def fold_pass(seed: Any, number: Any) -> Any:
    """The seed of pass `number` through layers that are used several times; None stays None."""
    return fold(seed, number * _APART)
