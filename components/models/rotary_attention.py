"""Self-attention with rotary positions (2104.09864)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.attention import merge_heads, split_heads, weighted_values
from kfp_finetune.components.models.block_attention import attend_by_blocks
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.encoder import Encoder, padding_bias
from kfp_finetune.components.models.rotary import rotate, rotations


class RotaryEncoder(Encoder):
    """An encoder with the same rotary positions in all layers."""

    def run_rotary(
        self,
        blocks: Sequence[Any],
        x: Any,
        features: Mapping[str, Any],
        config: Any,
        seed: Any,
        first_token: bool,
    ) -> Any:
        """Run the blocks in order; the last only for the first token if `first_token`.

        Args:
            blocks: The layers.
            x: Hidden states, shape [batch, width, hidden].
            features: See `Encoder.call`.
            config: The configuration; its `rope` and `head_size` are used.
            seed: Seed of the pass, see `Dropout`; None for no dropout.
            first_token: See `Encoder.call`.
        """
        mask = features["attention_mask"]
        bias = padding_bias(mask)
        turns = rotations(config.rope, tf.shape(mask)[1], config.head_size)
        for block in blocks:
            x = self.through(
                block,
                x,
                bias,
                *turns,
                seed,
                in_blocks=self.gradient_checkpointing,
                first_token=first_token and block is blocks[-1],
            )
        return x


class RotaryAttention(keras.layers.Layer):
    """Multi-head self-attention with rotary positions and its output projection.

    This layer and all layers around it are built without Keras' autocast: under a bfloat16 policy,
    Keras would round the cosines and sines that are passed to them.

    Args:
        hidden: Width of the hidden states.
        heads: Number of heads.
        size: Width of a head.
        dropout: Dropout rate of the attention probabilities.
        bias: Whether the four dense layers have a bias.
        key_value_heads: Number of heads of keys and values, each shared by the same number of heads
            of queries (grouped-query attention, 2305.13245); None for the number of query heads.
    """

    def __init__(
        self,
        hidden: int,
        heads: int,
        size: int,
        dropout: float,
        bias: bool,
        key_value_heads: int | None = None,
    ) -> None:
        super().__init__(autocast=False)
        self._heads, self._groups = heads, key_value_heads or heads
        self.query = Dense(hidden, heads * size, bias=bias)
        self.key = Dense(hidden, self._groups * size, bias=bias)
        self.value = Dense(hidden, self._groups * size, bias=bias)
        self.output_projection = Dense(heads * size, hidden, bias=bias)
        self.dropout = Dropout(dropout)
        self.built = True

    def call(
        self,
        x: Any,
        bias: Any,
        cosines: Any,
        sines: Any,
        seed: Any = None,
        *,
        in_blocks: bool = False,
        first_token: bool = False,
    ) -> Any:
        """Compute self-attention.

        Args:
            x: Hidden states, shape [batch, width, hidden].
            bias: The bias that masks padding, shape [batch, 1, 1, width].
            cosines: From `rotations`, shape [width, size].
            sines: The same.
            seed: Seed of the pass, see `Dropout`; None for no dropout.
            in_blocks: Whether to compute in blocks of queries, which takes less memory.
            first_token: Whether only the first token attends.

        Returns:
            Shape [batch, width, hidden], or [batch, 1, hidden].
        """
        end = 1 if first_token else None
        query = split_heads(self.query(x[:, :end]), self._heads)
        key = rotate(split_heads(self.key(x), self._groups), cosines, sines)
        value = split_heads(self.value(x), self._groups)
        scale = query.shape[-1] ** -0.5
        query = rotate(query, cosines[:end] * scale, sines[:end] * scale)
        shape, static = tf.shape(query), query.shape
        if self._groups < self._heads:  # treats the queries of a group as one longer text
            query = tf.reshape(query, [shape[0], self._groups, -1, static[-1]])
        weigh = attend_by_blocks if in_blocks and not first_token else weighted_values
        attended = weigh(query, key, value, bias, self.dropout, seed)
        if self._groups < self._heads:
            attended = tf.ensure_shape(tf.reshape(attended, shape), static)
        return self.output_projection(merge_heads(attended))
