"""A dense layer."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from kfp_finetune.components.models.activations import activation_function


class Dense(keras.layers.Layer):
    """y = activation(x W + b) over the last axis; `torch.nn.Linear` with the kernel transposed.

    Keras' own layer broadcasts the kernel to every matrix of a batch, and its gradient sums a
    kernel per row of the batch. This layer multiplies once.

    Args:
        inputs: Width of x.
        outputs: Width of y.
        activation: A name for `activations.activation_function`; None for no activation.
        bias: Whether to add b.
    """

    # PyTorch's name of each weight, and the order of axes in PyTorch; None for the same order.
    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {
        "kernel": ("weight", (1, 0)),
        "bias": ("bias", None),
    }

    def __init__(
        self, inputs: int, outputs: int, activation: str | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        self.kernel = self.add_weight(shape=(inputs, outputs), initializer="zeros", name="kernel")
        self.bias = (
            self.add_weight(shape=(outputs,), initializer="zeros", name="bias") if bias else None
        )
        self._activation = activation_function(activation)
        self.built = True

    def call(self, x: Any) -> Any:
        """Map inputs of shape [..., inputs] to shape [..., outputs]."""
        inputs, outputs = self.kernel.shape
        y = tf.matmul(tf.reshape(x, [-1, inputs]), tf.convert_to_tensor(self.kernel))
        if self.bias is not None:
            y = tf.nn.bias_add(y, tf.convert_to_tensor(self.bias))
        y = self._activation(y)
        return tf.reshape(y, tf.concat([tf.shape(x)[:-1], [outputs]], 0)) if len(x.shape) > 2 else y
