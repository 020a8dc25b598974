"""The heads of a classifier, which compute logits from hidden states."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout


class Head(keras.layers.Layer):
    """The interface of a head.

    Attributes:
        logits: The last layer, with one unit per output.
    """

    logits: Dense

    @abstractmethod
    def call(self, hidden: Any, attention_mask: Any, seed: Any = None) -> Any:
        """Compute logits.

        Args:
            hidden: Hidden states, shape [batch, width, hidden]; of width 1 if the head reads only
                the first token.
            attention_mask: Shape [batch, width].
            seed: Seed of the pass, see `Dropout`; None for no dropout.

        Returns:
            Logits, shape [batch, outputs], or [batch, width, outputs] for tokens.
        """


class TokenHead(Head):
    """Dropout and one dense layer on every token's state.

    Args:
        hidden: Width of the hidden states.
        dropout: Dropout rate.
        outputs: Number of outputs.
    """

    def __init__(self, hidden: int, dropout: float, outputs: int) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.logits = Dense(hidden, outputs)
        self.built = True

    def call(self, hidden: Any, attention_mask: Any, seed: Any = None) -> Any:
        """See `Head.call`; shape [batch, width, outputs]."""
        return self.logits(self.dropout(hidden, seed))


class PooledHead(Head):
    """A pooler, dropout and one dense layer on the first token's state, as in BERT.

    Args:
        hidden: Width of the hidden states.
        dropout: Dropout rate before the last layer.
        outputs: Number of outputs.
        activation: Activation of the pooler.
        dropout_before: Dropout rate before the pooler, as in RoBERTa.
    """

    def __init__(
        self,
        hidden: int,
        dropout: float,
        outputs: int,
        activation: str = "tanh",
        dropout_before: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout_before = Dropout(dropout_before)
        self.pooler = Dense(hidden, hidden, activation)
        self.dropout = Dropout(dropout)
        self.logits = Dense(hidden, outputs)
        self.built = True

    def call(self, hidden: Any, attention_mask: Any, seed: Any = None) -> Any:
        """See `Head.call`; shape [batch, outputs]."""
        pooled = self.pooler(self.dropout_before(hidden[:, 0], seed))
        return self.logits(self.dropout(pooled, seed))


def mean_of_tokens(x: Any, attention_mask: Any) -> Any:
    """The mean over all tokens except padding.

    Args:
        x: Shape [batch, width, size].
        attention_mask: 1 for tokens, 0 for padding; shape [batch, width].

    Returns:
        Shape [batch, size].
    """
    weights = tf.cast(attention_mask, x.dtype)[:, :, tf.newaxis]
    return tf.reduce_sum(x * weights, 1) / tf.reduce_sum(weights, 1)
