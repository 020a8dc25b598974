"""The interface of an encoder: token ids to hidden states."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.embeddings import Embedding

# Added to the attention scores of padding: its softmax is exactly 0 in float32.
MASKED = -1e9


class Encoder(keras.layers.Layer):
    """An encoder without its head.

    Attributes:
        words: The embeddings of the vocabulary.
        gradient_checkpointing: Whether to save memory on long texts: the gradient recomputes the
            inside of each block instead of keeping it.
    """

    words: Embedding
    gradient_checkpointing: bool = False

    @abstractmethod
    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """Encode a batch.

        Args:
            features: `input_ids`, `attention_mask` (1 for tokens, 0 for padding) and, for some
                models, `token_type_ids`; int32, shape [batch, width].
            seed: The seed of this pass's dropout, int32, shape [2]; None for no dropout.
            first_token: Whether the last layer computes only the first token's state.

        Returns:
            Hidden states, shape [batch, width, hidden], or [batch, 1, hidden].
        """

    def through(self, block: keras.layers.Layer, x: Any, *rest: Any, **options: Any) -> Any:
        """Run one block, which the gradient recomputes if `gradient_checkpointing`.

        Dropout is a function of the seed, so both computations drop the same elements.

        Args:
            block: The layer.
            x: Hidden states.
            rest: Its other arguments that are tensors, tuples of tensors, or None.
            options: Its other arguments; tensors among them have no gradient.
        """
        if not self.gradient_checkpointing:
            return block(x, *rest, **options)
        leaves = tf.nest.flatten(rest)
        places = [place for place, leaf in enumerate(leaves) if tf.is_tensor(leaf)]

        def compute(x: Any, *tensors: Any) -> Any:
            given = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                given[place] = tensor
            return block(x, *tf.nest.pack_sequence_as(rest, given), **options)

        return tf.recompute_grad(compute)(x, *(leaves[place] for place in places))

    def run(self, blocks: Sequence[Any], x: Any, bias: Any, seed: Any, first_token: bool) -> Any:
        """Run the blocks in order; the last only for the first token if `first_token`."""
        for block in blocks:
            last = first_token and block is blocks[-1]
            x = self.through(block, x, bias, seed, first_token=last)
        return x


def padding_bias(attention_mask: Any) -> Any:
    """The term to add to attention scores so that no token attends to padding.

    Args:
        attention_mask: 1 for tokens, 0 for padding; shape [batch, width].

    Returns:
        0 or a large negative number, float32, shape [batch, 1, 1, width].
    """
    padding = 1.0 - tf.cast(attention_mask, tf.float32)
    return padding[:, tf.newaxis, tf.newaxis, :] * MASKED
