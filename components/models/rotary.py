"""Rotary position embeddings (2104.09864)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.models.configurations.rope import Rope
from kfp_finetune.components.models.gradients import custom_gradient


def rotations(rope: Rope, width: Any, size: int) -> tuple[Any, Any]:
    """The cosines and sines of the angles of every position and pair of elements.

    Args:
        rope: The rotary embeddings.
        width: Number of positions, a scalar tensor.
        size: Width of a head.

    Returns:
        Cosines and sines, float32, shape [width, size]; the sines of the first half of the elements
        are negated for `rotate`.
    """
    exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    if rope.kind == "dynamic":
        longest = tf.cast(tf.maximum(width, rope.trained_length), tf.float32)
        growth = rope.factor * longest / rope.trained_length - (rope.factor - 1)
        frequencies = 1 / tf.pow(rope.theta * tf.pow(growth, size / (size - 2)), exponents)
    else:
        exact = np.float32(rope.theta) ** exponents.astype(np.float64)
        factor = rope.factor if rope.kind == "linear" else 1.0
        frequencies = tf.constant(1 / exact.astype(np.float32) / np.float32(factor))
    angles = tf.cast(tf.range(width), tf.float32)[:, tf.newaxis] * frequencies
    cosines, sines = tf.cos(angles), tf.sin(angles)
    return tf.concat([cosines, cosines], -1), tf.concat([-sines, sines], -1)


def rotate(x: Any, cosines: Any, sines: Any) -> Any:
    """Rotate each pair (element i, element i + size / 2) by the angle of its position.

    Computed in float32, as in PyTorch's models, because bfloat16 would round the angles.

    Args:
        x: Queries or keys, shape [..., width, size].
        cosines: From `rotations`, possibly multiplied by a constant; shape [width, size].
        sines: The same.

    Returns:
        A tensor of the shape and type of `x`.
    """

    def product(x: Any, sines: Any) -> Any:
        exact = tf.cast(x, cosines.dtype)
        return tf.cast(exact * cosines + _swap(exact) * sines, x.dtype)

    @custom_gradient
    def turn(x: Any) -> tuple[Any, Any]:
        def gradient(dy: Any) -> Any:  # rotate back; the angles are constants
            with tf.name_scope("rotate_gradient"):
                return product(dy, -sines)

        return product(x, sines), gradient

    return turn(x)


def _swap(x: Any) -> Any:
    """The second half of the elements, then the first."""
    halves = tf.reshape(x, [-1, 2, x.shape[-1] // 2])
    return tf.reshape(tf.reverse(halves, [1]), tf.shape(x))
