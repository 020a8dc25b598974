"""The feed-forward half of a transformer's layer."""

from __future__ import annotations

from typing import Any

import keras

from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout


class FeedForward(keras.layers.Layer):
    """Two dense layers (1706.03762, section 3.3).

    Args:
        hidden: Width of inputs and outputs.
        inner: Width between the two layers.
        activation: Activation of the first layer.
    """

    def __init__(self, hidden: int, inner: int, activation: str) -> None:
        super().__init__()
        self.inner = Dense(hidden, inner, activation)
        self.outer = Dense(inner, hidden)
        self.built = True

    def call(self, x: Any, seed: Any = None) -> Any:
        """Hidden states, shape [batch, width, hidden]; there is no dropout inside."""
        return self.outer(self.inner(x))


class GatedFeedForward(keras.layers.Layer):
    """Two dense layers, the first with a gate for each element (2002.05202).

    Args:
        hidden: Width of inputs and outputs.
        inner: Width between the two layers.
        activation: Activation of the gate.
        bias: Whether the first layer and the gate have a bias.
        outer_bias: Whether the second layer has a bias.
        dropout: Dropout rate before the second layer.
    """

    def __init__(
        self,
        hidden: int,
        inner: int,
        activation: str,
        bias: bool = False,
        outer_bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.gate = Dense(hidden, inner, activation, bias=bias)
        self.inner = Dense(hidden, inner, bias=bias)
        self.dropout = Dropout(dropout)
        self.outer = Dense(inner, hidden, bias=outer_bias)
        self.built = True

    def call(self, x: Any, seed: Any = None) -> Any:
        """Hidden states, shape [batch, width, hidden]."""
        return self.outer(self.dropout(self.gate(x) * self.inner(x), seed))
