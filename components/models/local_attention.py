"""Attention within a window around each token, with memory linear in the width.

Short texts use a mask. Long texts are divided into blocks of queries, each of which attends to its
own block and to the tokens within the window on both sides of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kfp_finetune.components.models.attention import weighted_values
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.encoder import MASKED, padding_bias

# Texts at least this many times as long as the window are computed in blocks.
_LONG = 3
_LEAST_BLOCK = 16


# Not a tuple, because Keras would look for tensors in it.
@dataclasses.dataclass(frozen=True)
class Window:
    """The window of one forward pass, shared by all layers.

    Attributes:
        reach: Number of tokens that a token attends to on each side.
        long: Whether to compute in blocks; a scalar tensor, or a bool if the width is known.
        bias: Added to the scores: shape [batch, 1, width, width], or in blocks
            [batch, 1, blocks, block, block + 2 × reach].
    """

    reach: int
    long: Any
    bias: Any


def window(attention_mask: Any, reach: int) -> Window:
    """The window of a pass.

    Args:
        attention_mask: 1 for tokens, 0 for padding; shape [batch, width].
        reach: Number of tokens that a token attends to on each side.
    """
    width = attention_mask.shape[1] or tf.shape(attention_mask)[1]
    long = width > _LONG * 2 * max(reach, _LEAST_BLOCK)
    padding = padding_bias(attention_mask)

    def masked() -> Any:
        positions = tf.range(width)
        return padding + _far(positions[:, tf.newaxis] - positions, reach)

    def in_blocks() -> Any:
        block = _block(reach)
        keys = tf.range(block + 2 * reach) - reach
        of_keys = tf.transpose(
            _windows(tf.transpose(padding, [0, 1, 3, 2]), reach, MASKED), [0, 1, 2, 4, 3]
        )
        return of_keys + _far(tf.range(block)[:, tf.newaxis] - keys, reach)

    return Window(reach, long, _either(long, in_blocks, masked))


def attend_locally(
    query: Any, key: Any, value: Any, window: Window, dropout: Dropout, seed: Any
) -> Any:
    """Attention of each token to those in its window.

    Args:
        query: Shape [batch, heads, width, size], scaled.
        key: Shape [batch, heads, width, size].
        value: Shape [batch, heads, width, size].
        window: The window of this pass.
        dropout: Dropout of the probabilities.
        seed: Seed of the pass, see `Dropout`; None for no dropout.

    Returns:
        Shape [batch, heads, width, size].
    """
    reach, long, bias = window.reach, window.long, window.bias

    def masked() -> Any:
        return weighted_values(query, key, value, tf.ensure_shape(bias, [None] * 4), dropout, seed)

    def in_blocks() -> Any:
        attended = weighted_values(
            _blocks(query, _block(reach)),
            _windows(key, reach),
            _windows(value, reach),
            tf.ensure_shape(bias, [None] * 5),
            dropout,
            seed,
        )
        shape = tf.shape(query)
        together = tf.reshape(attended, [shape[0], query.shape[1], -1, query.shape[-1]])
        return together[:, :, : shape[2]]

    return tf.ensure_shape(_either(long, in_blocks, masked), query.shape)


def _block(reach: int) -> int:
    """The number of queries in a block."""
    return max(2 * reach, _LEAST_BLOCK)


def _blocks(x: Any, block: int, before: int = 0, after: int = 0, value: float = 0.0) -> Any:
    """Shape [batch, heads, width, size] to [batch, heads, blocks, block, size].

    Args:
        x: The tensor to split.
        block: Width of a block; the last one is padded.
        before: Number of positions to add at the start.
        after: Number of positions to add at the end.
        value: Value in the added positions.
    """
    shape = tf.shape(x)
    missing = -shape[2] % block
    padded = tf.pad(x, [[0, 0], [0, 0], [before, missing + after], [0, 0]], constant_values=value)
    return tf.reshape(padded, [shape[0], x.shape[1], -1, block, x.shape[-1]])


def _windows(x: Any, reach: int, value: float = 0.0) -> Any:
    """The keys that each block of queries can attend to.

    Args:
        x: Shape [batch, heads, width, size].
        reach: The window's reach.
        value: Value before the first and after the last position.

    Returns:
        Shape [batch, heads, blocks, block + 2 × reach, size].
    """
    block = _block(reach)
    blocks = _blocks(x, block, reach, block - reach, value)  # one more, shifted left by `reach`
    return tf.concat([blocks[:, :, :-1], blocks[:, :, 1:, : 2 * reach]], 3)


def _far(distance: Any, reach: int) -> Any:
    """The term that masks the scores of tokens outside the window."""
    return tf.where(tf.abs(distance) <= reach, 0.0, MASKED)


def _either(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """Run one of two computations."""
    if isinstance(condition, bool):
        return then() if condition else otherwise()
    return tf.cond(condition, then, otherwise)
