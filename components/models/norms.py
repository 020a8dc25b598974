"""Normalization over the last axis in float32, with a gradient that makes few passes over it."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from kfp_finetune.components.models.gradients import custom_gradient


class LayerNorm(keras.layers.Layer):
    """Layer normalization (1607.06450).

    Args:
        width: Size of the last axis.
        epsilon: Added to the variance.
        bias: Whether to add an offset.
    """

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {
        "gamma": ("weight", None),
        "beta": ("bias", None),
    }

    def __init__(self, width: int, epsilon: float, bias: bool = True) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = self.add_weight(shape=(width,), initializer="ones", name="gamma")
        self.beta = (
            self.add_weight(shape=(width,), initializer="zeros", name="beta") if bias else None
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Normalized, of the inputs' shape [..., width] and type."""
        x = tf.cast(inputs, tf.float32)
        gamma = tf.cast(tf.convert_to_tensor(self.gamma), tf.float32)
        normal = _normalize(x, gamma, self.epsilon)
        if self.beta is not None:
            normal = tf.nn.bias_add(normal, tf.cast(tf.convert_to_tensor(self.beta), tf.float32))
        return tf.cast(normal, inputs.dtype)


class RmsNorm(keras.layers.Layer):
    """Root mean square normalization (1910.07467).

    Args:
        width: Size of the last axis.
        epsilon: Added to the mean square.
    """

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {"gamma": ("weight", None)}

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = self.add_weight(shape=(width,), initializer="ones", name="gamma")
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Normalized, of the inputs' shape [..., width] and type."""
        x = tf.cast(inputs, tf.float32)
        gamma = tf.cast(tf.convert_to_tensor(self.gamma), tf.float32)
        return tf.cast(_normalize_square(x, gamma, self.epsilon), inputs.dtype)


def _normalize_square(x: Any, gamma: Any, epsilon: float) -> Any:
    @custom_gradient
    def normalize(x: Any, gamma: Any) -> tuple[Any, Any]:
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + epsilon)
        normal = x * scale

        def gradient(dy: Any) -> tuple[Any, Any]:
            with tf.name_scope("rms_norm_gradient"):
                rows = list(range(len(x.shape) - 1))
                along = dy * normal
                share = tf.reduce_mean(along * gamma, -1, keepdims=True)
                return (dy * gamma - normal * share) * scale, tf.reduce_sum(along, rows)

        return normal * gamma, gradient

    return normalize(x, gamma)


def _normalize(x: Any, gamma: Any, epsilon: float) -> Any:
    @custom_gradient
    def normalize(x: Any, gamma: Any) -> tuple[Any, Any]:
        centered = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + epsilon)
        normal = centered * scale

        def gradient(dy: Any) -> tuple[Any, Any]:
            with tf.name_scope("layer_norm_gradient"):
                rows = list(range(len(x.shape) - 1))
                scaled = dy * gamma
                mean = tf.reduce_mean(scaled, -1, keepdims=True)
                along = tf.reduce_mean(scaled * normal, -1, keepdims=True)
                dx = (scaled - mean - normal * along) * scale
                return dx, tf.reduce_sum(dy * normal, rows)

        return normal * gamma, gradient

    return normalize(x, gamma)
