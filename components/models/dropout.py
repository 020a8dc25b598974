"""Dropout as a pure function of a seed."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_RANDOM_BITS = 16
# The distance between the seeds of two passes through the same layers: larger than the number of
# dropout layers, and small enough for 128 passes within the 2**16 between two replicas. The other
# half of a seed counts steps.
_APART = 2**9


class Dropout(keras.layers.Layer):
    """Stateless dropout: the same seed drops the same elements.

    It draws 16 bits per element, so the rate is rounded to a multiple of 2^-16 below 1.

    Args:
        rate: Share of the elements that become 0.

    Attributes:
        number: The layer's number in its model, so that no two layers draw the same values.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.number = 0
        self.built = True

    def call(self, inputs: Any, seed: Any = None) -> Any:
        """Drop elements, and scale the others up to keep the mean.

        Args:
            inputs: A tensor of any shape.
            seed: The seed of this pass through the model, int32, shape [2]; None for no dropout.
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
    """Derive the seed of part `number` from the seed of the whole; None stays None."""
    return None if seed is None else seed + tf.stack([number, 0])


def fold_pass(seed: Any, number: Any) -> Any:
    """Derive the seed of pass `number` through reused layers; None stays None."""
    return fold(seed, number * _APART)
