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
        heads: Number of heads, which divide the width between them.
        dropout: Dropout rate of the attention probabilities.
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
        """Compute self-attention.

        Args:
            x: Hidden states, shape [batch, width, hidden].
            bias: Added to the scores; a tensor, or several, broadcastable to
                [batch, heads, width, width].
            seed: Seed of the pass, see `Dropout`; None for no dropout.
            first_token: Whether only the first token attends.

        Returns:
            Shape [batch, width, hidden], or [batch, 1, hidden].
        """
        if first_token:
            bias = tf.nest.map_structure(lambda part: part[:, :, :1], bias)
        query = split_heads(self.query(x[:, :1] if first_token else x), self._heads)
        key = split_heads(self.key(x), self._heads)
        value = split_heads(self.value(x), self._heads)
        attended = attend(query, key, value, bias, self.dropout, seed)
        return self.output_projection(attended)


def split_heads(x: Any, heads: int) -> Any:
    """Split into heads: [batch, width, hidden] to [batch, heads, width, hidden / heads]."""
    batch, width, hidden = tf.shape(x)[0], tf.shape(x)[1], x.shape[-1]
    return tf.transpose(tf.reshape(x, [batch, width, heads, hidden // heads]), [0, 2, 1, 3])


def attend(
    query: Any, key: Any, value: Any, bias: Any, dropout: Dropout, seed: Any, scale: float = 0.0
) -> Any:
    """Scaled dot-product attention.

    Args:
        query: Shape [batch, heads, queries, size].
        key: Shape [batch, heads, keys, size].
        value: Shape [batch, heads, keys, size].
        bias: Added to the scores; a tensor, or several, broadcastable to
            [batch, heads, queries, keys].
        dropout: Dropout of the probabilities.
        seed: Seed of the pass, see `Dropout`; None for no dropout.
        scale: Factor of the scores; 0 for 1 / √size.

    Returns:
        Shape [batch, queries, heads × size].
    """
    scaled = query if scale == 1 else query * (scale or query.shape[-1] ** -0.5)
    return merge_heads(weighted_values(scaled, key, value, bias, dropout, seed))


def weighted_values(
    query: Any, key: Any, value: Any, bias: Any, dropout: Dropout, seed: Any
) -> Any:
    """Attention of queries to keys and values, which may have any leading axes.

    Args:
        query: Shape [..., queries, size], scaled.
        key: Shape [..., keys, size].
        value: Shape [..., keys, size].
        bias: Added to the scores; a tensor, or several, broadcastable to [..., queries, keys].
        dropout: Dropout of the probabilities.
        seed: Seed of the pass, see `Dropout`; None for no dropout.

    Returns:
        Shape [..., queries, size].
    """
    scores = tf.matmul(query, key, transpose_b=True)
    for part in tf.nest.flatten(bias):
        scores += tf.cast(part, scores.dtype)
    probabilities = tf.nn.softmax(scores)
    return tf.matmul(dropout(probabilities, seed), value)


def merge_heads(x: Any) -> Any:
    """The inverse of `split_heads`: [batch, heads, width, size] to [batch, width, hidden]."""
    heads, size = x.shape[1], x.shape[-1]
    merged = tf.transpose(x, [0, 2, 1, 3])
    return tf.reshape(merged, [tf.shape(x)[0], tf.shape(x)[2], heads * size])
