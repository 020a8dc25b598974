"""Activation functions by the names of Transformers' ACT2FN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.gradients import custom_gradient


def activation_function(name: str | None) -> Callable[[Any], Any]:
    """The element-wise function with this name in config.json; None for the identity."""
    return _FUNCTIONS[name] if name else lambda x: x


@custom_gradient
def gelu(x: Any) -> tuple[Any, Any]:
    """The exact Gaussian error linear unit (1606.08415), x Φ(x), with the error function."""
    cdf = 0.5 * tf.math.erf(x * math.sqrt(0.5)) + 0.5

    def gradient(dy: Any) -> Any:
        with tf.name_scope("gelu_gradient"):  # names it in a profile
            density = tf.exp(tf.square(x) * -0.5)
            return dy * (cdf + x * density * (1 / math.sqrt(2 * math.pi)))

    return x * cdf, gradient


def _gelu_tanh(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=True)


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": gelu,
    "gelu_10": lambda x: tf.clip_by_value(gelu(x), -10.0, 10.0),
    "gelu_fast": _gelu_tanh,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "mish": lambda x: x * tf.tanh(tf.math.softplus(x)),
    "quick_gelu": lambda x: x * tf.sigmoid(1.702 * x),
    "relu": tf.nn.relu,
    "sigmoid": tf.sigmoid,
    "silu": tf.nn.silu,
    "swish": tf.nn.silu,
    "tanh": tf.tanh,
}
