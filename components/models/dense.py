"""A dense layer."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from kfp_finetune.components.models.activations import activation_function


class Dense(keras.layers.Layer):
    """y = activation(x W + b) over the last axis; `torch.nn.Linear` with the kernel transposed.

    Keras' own multiplies a batch of matrices with a kernel that is broadcast to each of them, and
    its gradient adds up a kernel for every row of the batch. This multiplies once.

    Args:
        inputs: Width of x.
        outputs: Width of y.
        activation: A name of `activations.activation_function`; None: none.
        bias: Whether there is a b.
    """

    # PyTorch's name of a weight, and the axes that PyTorch's layout has; None: the same layout.
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
