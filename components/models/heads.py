"""The heads of a classifier: hidden states to logits."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout


class Head(keras.layers.Layer):
    """A head.

    Attributes:
        logits: Its last layer, as wide as there are outputs.
    """

    logits: Dense

    @abstractmethod
    def call(self, hidden: Any, attention_mask: Any, seed: Any = None) -> Any:
        """Compute logits.

        Args:
            hidden: The encoder's, shape [batch, width, hidden]; of width 1 where the head reads
                the first token only.
            attention_mask: Shape [batch, width].
            seed: As `Dropout` takes it.

        Returns:
            Shape [batch, outputs], or of tokens [batch, width, outputs].
        """


class TokenHead(Head):
    """Dropout and one dense layer, for every token.

    Args:
        hidden: Width of the hidden states.
        dropout: Its rate.
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
    """The first token through a pooler, dropout and one dense layer, as in BERT.

    Args:
        hidden: Width of the hidden states.
        dropout: Rate before the last layer.
        outputs: Number of outputs.
        activation: Of the pooler.
        dropout_before: Rate before the pooler, as RoBERTa has it.
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
    """The mean over the tokens that are no padding.

    Args:
        x: Shape [batch, width, size].
        attention_mask: 1 for tokens, 0 for padding; shape [batch, width].

    Returns:
        Shape [batch, size].
    """
    weights = tf.cast(attention_mask, x.dtype)[:, :, tf.newaxis]
    return tf.reduce_sum(x * weights, 1) / tf.reduce_sum(weights, 1)
