"""Multi-head attention (1706.03762)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout


class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention with its output projection.

    Args:
        hidden: Width of the hidden states.
        heads: Number of heads, which share the width.
        dropout: Rate for the attention's probabilities.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self.query = Dense(hidden, hidden)
        self.key = Dense(hidden, hidden)
        self.value = Dense(hidden, hidden)
        self.output_projection = Dense(hidden, hidden)
        self.dropout = Dropout(dropout)
        self.built = True

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """Attend.

        Args:
            x: Hidden states, shape [batch, width, hidden].
            bias: Added to the scores, shape that broadcasts to [batch, heads, width, width].
            seed: As `Dropout` takes it.
            first_token: Whether only the first token attends.

        Returns:
            Shape [batch, width, hidden], or [batch, 1, hidden].
        """
        query = split_heads(self.query(x[:, :1] if first_token else x), self._heads)
        key = split_heads(self.key(x), self._heads)
        value = split_heads(self.value(x), self._heads)
        attended = attend(query, key, value, bias, self.dropout, seed)
        return self.output_projection(attended)


def split_heads(x: Any, heads: int) -> Any:
    """Divide among heads: [batch, width, hidden] to [batch, heads, width, hidden / heads]."""
    batch, width, hidden = tf.shape(x)[0], tf.shape(x)[1], x.shape[-1]
    return tf.transpose(tf.reshape(x, [batch, width, heads, hidden // heads]), [0, 2, 1, 3])


def attend(
    query: Any, key: Any, value: Any, bias: Any, dropout: Dropout, seed: Any, scale: float = 0.0
) -> Any:
    """Scaled dot-product attention.

    Args:
        query: Shape [batch, heads, queries, size].
        key: Shape [batch, heads, keys, size].
        value: The same.
        bias: Added to the scores; broadcasts to [batch, heads, queries, keys].
        dropout: For the probabilities.
        seed: As `Dropout` takes it.
        scale: What scores are multiplied by; 0: 1 / √size.

    Returns:
        Shape [batch, queries, heads × size].
    """
    heads, size = query.shape[1], query.shape[-1]
    scores = tf.matmul(query * (scale or size**-0.5), key, transpose_b=True)
    probabilities = tf.nn.softmax(scores + tf.cast(bias, scores.dtype))
    attended = tf.transpose(tf.matmul(dropout(probabilities, seed), value), [0, 2, 1, 3])
    return tf.reshape(attended, [tf.shape(query)[0], tf.shape(query)[2], heads * size])
