"""Attention computed one block of queries at a time, with memory linear in the width.

The probabilities are not kept; the gradient recomputes those of each block.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kfp_finetune.components.models.attention import weighted_values
from kfp_finetune.components.models.dropout import Dropout, fold_pass
from kfp_finetune.components.models.gradients import custom_gradient

_BLOCK = 256


def attend_by_blocks(
    query: Any, key: Any, value: Any, bias: Any, dropout: Dropout, seed: Any
) -> Any:
    """Attention of each token to all others.

    Args:
        query: Shape [batch, heads, width, size], scaled.
        key: Shape [batch, heads, width, size].
        value: Shape [batch, heads, width, size].
        bias: Added to the scores, shape [batch, 1, 1, width].
        dropout: Dropout of the probabilities.
        seed: Seed of the pass, see `Dropout`; None for no dropout.

    Returns:
        Shape [batch, heads, width, size].
    """
    shape = tf.shape(query)
    count = -(-shape[2] // _BLOCK)

    def block(number: Any, queries: Any, key: Any, value: Any) -> Any:
        return weighted_values(queries, key, value, bias, dropout, fold_pass(seed, number))

    @custom_gradient
    def attend(query: Any, key: Any, value: Any) -> tuple[Any, Any]:
        queries = _blocks_first(query)

        def forward(number: Any, outputs: Any) -> Any:
            outputs = outputs.write(number, block(number, queries[number], key, value))
            return number + 1, outputs

        outputs = tf.TensorArray(query.dtype, count, element_shape=queries.shape[1:])
        outputs = _loop(count, forward, outputs)

        def gradient(dy: Any) -> Any:
            d_outputs = _blocks_first(dy)

            def backward(number: Any, d_queries: Any, d_key: Any, d_value: Any) -> Any:
                sources = [queries[number], key, value]
                with tf.GradientTape() as tape:
                    tape.watch(sources)
                    output = block(number, *sources)
                d_query, more_key, more_value = tape.gradient(output, sources, d_outputs[number])
                d_queries = d_queries.write(number, d_query)
                return number + 1, d_queries, d_key + more_key, d_value + more_value

            d_queries = tf.TensorArray(query.dtype, count, element_shape=queries.shape[1:])
            d_queries, d_key, d_value = _loop(
                count, backward, d_queries, tf.zeros_like(key), tf.zeros_like(value)
            )
            return _together(d_queries.stack(), shape), d_key, d_value

        return _together(outputs.stack(), shape), gradient

    return tf.ensure_shape(attend(query, key, value), query.shape)


def _loop(count: Any, body: Any, *state: Any) -> Any:
    """Run a body for each number below `count`, in order."""
    _, *state = tf.while_loop(
        lambda number, *_: number < count,
        body,
        (tf.constant(0), *state),
        parallel_iterations=1,
        maximum_iterations=count,
    )
    return state[0] if len(state) == 1 else state


def _blocks_first(x: Any) -> Any:
    """Shape [batch, heads, width, size] to [blocks, batch, heads, block, size]."""
    shape = tf.shape(x)
    padded = tf.pad(x, [[0, 0], [0, 0], [0, -shape[2] % _BLOCK], [0, 0]])
    blocks = tf.reshape(padded, [shape[0], x.shape[1], -1, _BLOCK, x.shape[-1]])
    return tf.transpose(blocks, [2, 0, 1, 3, 4])


def _together(blocks: Any, shape: Any) -> Any:
    """The inverse of `_blocks_first`."""
    x = tf.transpose(blocks, [1, 2, 0, 3, 4])
    return tf.reshape(x, [shape[0], shape[1], -1, shape[3]])[:, :, : shape[2]]
