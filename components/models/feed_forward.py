"""The feed-forward half of a transformer's layer."""

from __future__ import annotations

from typing import Any

import keras

from kfp_finetune.components.models.dense import Dense


class FeedForward(keras.layers.Layer):
    """Two dense layers (1706.03762, section 3.3).

    Args:
        hidden: Width of inputs and outputs.
        inner: Width between the two.
        activation: Of the first.
    """

    def __init__(self, hidden: int, inner: int, activation: str) -> None:
        super().__init__()
        self.inner = Dense(hidden, inner, activation)
        self.outer = Dense(inner, hidden)
        self.built = True

    def call(self, x: Any) -> Any:
        """Of shape [batch, width, hidden]."""
        return self.outer(self.inner(x))
