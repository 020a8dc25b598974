"""Disentangled attention to contents and relative positions (DeBERTa, 2006.03654)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.norms import LayerNorm


class Distances(NamedTuple):
    """The relative positions of one forward pass, shared by all layers.

    The distance of query i and key j is i - j.

    Attributes:
        embeddings: The embeddings in use, shape [rows, hidden].
        falling: The row of each distance from width - 1 down to -width; int32, shape [2 × width].
        rising: The row of each distance from 1 - width up to width; the same shape.
    """

    embeddings: Any
    falling: Any
    rising: Any


class RelativePositions(keras.layers.Layer):
    """The embeddings of relative positions.

    Args:
        hidden: Width of the embeddings.
        span: Half the number of embeddings.
        farthest: The distance beyond which all distances are equal.
        buckets: Number of buckets on either side, see `bucket_of`; below 1 for no buckets.
        norm: The epsilon of the layer normalization of the embeddings; None for no normalization.
    """

    def __init__(
        self, hidden: int, span: int, farthest: int, buckets: int = -1, norm: float | None = None
    ) -> None:
        super().__init__()
        self.table = Embedding(2 * span, hidden)
        self.norm = None if norm is None else LayerNorm(hidden, norm)
        self._limit = 2 * farthest
        distances = np.arange(-self._limit, self._limit + 1)
        positions = bucket_of(distances, buckets, farthest) if buckets > 0 else distances
        self._rows = np.clip(positions + span, 0, 2 * span - 1).astype(np.int32)
        self.built = True

    def up_to(self, width: Any) -> Distances:
        """The relative positions in a text of `width` tokens, a scalar tensor."""
        limit = self._limit
        distances = tf.clip_by_value(tf.range(-width, width + 1), -limit, limit) + limit
        rows = tf.gather(tf.constant(self._rows), distances)
        lowest, highest = rows[0], rows[-1]
        used = tf.convert_to_tensor(self.table.table)[lowest : highest + 1]
        rows -= lowest
        return Distances(used if self.norm is None else self.norm(used), rows[-2::-1], rows[1:])


def bucket_of(distances: Any, buckets: int, farthest: int) -> Any:
    """Logarithmic buckets of distances (`make_log_bucket_position` in Transformers).

    Computed in float32 like the original, because rounding can decide which bucket is chosen.

    Args:
        distances: An array of whole numbers.
        buckets: Number of buckets on either side; half of them are for a single distance each.
        farthest: The largest distance of the last bucket.
    """
    middle = buckets // 2
    away = np.abs(distances)
    ratio = (np.maximum(away, middle) / middle).astype(np.float32)
    step = np.log(np.float32((farthest - 1) / middle))
    bucket = np.ceil(np.log(ratio) / step * np.float32(middle - 1)) + middle
    return np.where(away <= middle, distances, bucket * np.sign(distances)).astype(np.int64)


class DisentangledAttention(keras.layers.Layer):
    """Multi-head self-attention that compares contents and relative positions.

    A score is the sum of up to three products: query and key; query and the key's relative
    position ("c2p"); the query's relative position and key ("p2c"). The axis of heads precedes the
    batch, so that positions, which are the same for all texts, take one product per head.

    Args:
        hidden: Width of the hidden states.
        heads: Number of heads, which divide the width between them.
        kinds: The products with positions: "c2p", "p2c", both or none.
        dropout: Dropout rate of the attention probabilities.
        position_dropout: Dropout rate of the embeddings of positions.
    """

    def __init__(
        self,
        hidden: int,
        heads: int,
        kinds: Collection[str],
        dropout: float,
        position_dropout: float,
    ) -> None:
        super().__init__()
        self._heads = heads
        self._scale = (hidden // heads * (1 + len(kinds))) ** -0.5
        self.position_dropout = Dropout(position_dropout)
        self.dropout = Dropout(dropout)
        self.output_projection = Dense(hidden, hidden)

    @abstractmethod
    def project(self, x: Any, first_token: bool) -> tuple[Any, Any, Any]:
        """Compute queries, keys and values, each split by `split_heads`.

        Args:
            x: Hidden states, shape [batch, width, hidden].
            first_token: Whether to compute only the first token's query.
        """

    @abstractmethod
    def project_positions(self, embeddings: Any) -> tuple[Any, Any]:
        """Project positions for queries ("c2p") and for keys ("p2c"); None if unused.

        Args:
            embeddings: Shape [rows, hidden], the same as both results.
        """

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """Compute self-attention.

        Args:
            x: Hidden states, shape [batch, width, hidden].
            bias: A term for the scores, shape [1, batch, width, width], and the relative positions,
                None if positions are not compared.
            seed: Seed of the pass, see `Dropout`; None for no dropout.
            first_token: Whether only the first token attends.

        Returns:
            Shape [batch, width, hidden], or [batch, 1, hidden].
        """
        padding, distances = bias
        padding = padding[:, :, :1] if first_token else padding
        query, key, value = self.project(x, first_token)
        query *= self._scale
        scores = [tf.matmul(query, key, transpose_b=True)]
        if distances is not None:
            embeddings = self.position_dropout(distances.embeddings, seed)
            for_query, for_key = self.project_positions(embeddings)
            compared = self._compare_first if first_token else self._compare
            scores += compared(query, key, for_query, for_key, distances)
        probabilities = tf.nn.softmax(tf.add_n(scores) + padding)
        attended = tf.matmul(self.dropout(probabilities, seed), value)
        attended = tf.transpose(attended, [1, 2, 0, 3])
        shape = [*tf.unstack(tf.shape(attended))[:2], x.shape[-1]]
        return self.output_projection(tf.reshape(attended, shape))

    def _compare(
        self, query: Any, key: Any, for_query: Any, for_key: Any, distances: Distances
    ) -> list[Any]:
        """The scores of positions, each of shape [heads, batch, width, width]."""
        scores = []
        if for_query is not None:
            scores.append(by_distance(query, self._at(for_query, distances.falling)))
        if for_key is not None:
            at = self._at(for_key * self._scale, distances.rising)
            scores.append(tf.transpose(by_distance(key, at), [0, 1, 3, 2]))
        return scores

    def _compare_first(
        self, query: Any, key: Any, for_query: Any, for_key: Any, distances: Distances
    ) -> list[Any]:
        """The scores of positions for the first token's query, each of [heads, batch, 1, width]."""
        scores = []
        rows = distances.falling[tf.shape(key)[2] - 1 : -1]
        if for_query is not None:
            at = self._at(for_query, rows)
            scores.append(tf.matmul(query[:, :, 0], at, transpose_b=True)[:, :, tf.newaxis])
        if for_key is not None:
            at = self._at(for_key * self._scale, rows)[:, tf.newaxis]
            scores.append(tf.reduce_sum(key * at, -1)[:, :, tf.newaxis])
        return scores

    def _at(self, positions: Any, rows: Any) -> Any:
        """Look up the positions of distances: [rows, hidden] to [heads, distances, size]."""
        return split_heads(tf.gather(positions, rows)[tf.newaxis], self._heads)[:, 0]


def split_heads(x: Any, heads: int) -> Any:
    """Split into heads: [batch, width, hidden] to [heads, batch, width, hidden / heads]."""
    batch, width, hidden = tf.shape(x)[0], tf.shape(x)[1], x.shape[-1]
    return tf.transpose(tf.reshape(x, [batch, width, heads, hidden // heads]), [2, 0, 1, 3])


def by_distance(x: Any, positions: Any) -> Any:
    """Multiply each vector with the position of its distance from every token.

    All products of a vector are computed at once. Those of token i start at column width - 1 - i;
    reading the products in rows that are one element shorter aligns them in the same column.

    Args:
        x: Shape [heads, batch, width, size].
        positions: The positions by distance, shape [heads, 2 × width, size]; the last is unused.

    Returns:
        Shape [heads, batch, width, width]: row i and column j have the product of token i with the
        position in column width - 1 - i + j.
    """
    heads, size = x.shape[0], x.shape[-1]
    batch, width = tf.unstack(tf.shape(x)[1:3])
    products = tf.matmul(tf.reshape(x, [heads, -1, size]), positions, transpose_b=True)
    flat = tf.reshape(products, [heads, batch, 2 * width * width])
    flat = flat[:, :, width - 1 : width - 1 + width * (2 * width - 1)]
    return tf.reshape(flat, [heads, batch, width, 2 * width - 1])[..., :width]
