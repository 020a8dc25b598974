"""BERT (1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.attention import SelfAttention
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.encoder import Encoder, padding_bias
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import FeedForward
from kfp_finetune.components.models.heads import PooledHead, TokenHead
from kfp_finetune.components.models.norms import LayerNorm


class BertEncoder(Encoder):
    """Word, position and token-type embeddings, and a stack of post-norm layers.

    Args:
        config: The configuration.
        blocks: The layers, if they differ from BERT's.
        embedding_size: Width of the embeddings; None for that of the hidden states.
        projected: Whether a dense layer projects the embeddings to the width of the hidden states.
    """

    def __init__(
        self,
        config: Any,
        blocks: Sequence[keras.layers.Layer] | None = None,
        embedding_size: int | None = None,
        projected: bool = False,
    ) -> None:
        super().__init__()
        hidden = config.hidden_size
        width = embedding_size or hidden
        self.words = Embedding(config.vocab_size, width)
        self.positions = Embedding(config.max_position_embeddings, width)
        types = config.type_vocab_size
        self.token_types = Embedding(types, width) if types else None
        self.norm = LayerNorm(width, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.projection = Dense(width, hidden) if projected else None
        own = (BertLayer(config) for _ in range(config.num_hidden_layers))
        self.blocks = list(own if blocks is None else blocks)
        self.built = True

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        x, bias = self.embed(features, seed), padding_bias(features["attention_mask"])
        return self.run(self.blocks, x, bias, seed, first_token)

    def embed(self, features: Mapping[str, Any], seed: Any) -> Any:
        """The input of the first layer, shape [batch, width, hidden]."""
        ids, types = features["input_ids"], features.get("token_type_ids")
        x = self.words(ids) + self.position_vectors(ids)
        if self.token_types is not None:
            x += self.token_types.first(1) if types is None else self.token_types(types)
        x = self.dropout(self.norm(x), seed)
        return x if self.projection is None else self.projection(x)

    def position_vectors(self, ids: Any) -> Any:
        """The vectors of the positions of ids [batch, width], shape [batch or 1, width, any]."""
        return self.positions.first(tf.shape(ids)[1])


class BertLayer(keras.layers.Layer):
    """Attention and feed-forward, each with a residual and a normalization after it.

    Args:
        config: The configuration.
        attention: The attention, if it differs from BERT's.
        feed_forward: The feed-forward half, if it differs from BERT's.
    """

    def __init__(
        self,
        config: Any,
        attention: keras.layers.Layer | None = None,
        feed_forward: keras.layers.Layer | None = None,
    ) -> None:
        super().__init__()
        hidden, epsilon = config.hidden_size, config.layer_norm_eps
        self.attention = attention or self_attention(config)
        self.attention_dropout = Dropout(config.hidden_dropout_prob)
        self.attention_norm = LayerNorm(hidden, epsilon)
        self.feed_forward = feed_forward or feed_forward_of(config)
        self.feed_forward_dropout = Dropout(config.hidden_dropout_prob)
        self.feed_forward_norm = LayerNorm(hidden, epsilon)
        self.built = True

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """Hidden states, shape [batch, width, hidden]; only the first token's if `first_token`."""
        attended = self.attention_dropout(
            self.attention(x, bias, seed, first_token=first_token), seed
        )
        x = self.attention_norm((x[:, :1] if first_token else x) + attended)
        return self.feed_forward_norm(x + self.feed_forward_dropout(self.feed_forward(x), seed))


def self_attention(config: Any) -> SelfAttention:
    """Build the attention with the sizes in a configuration."""
    return SelfAttention(
        config.hidden_size, config.num_attention_heads, config.attention_probs_dropout_prob
    )


def feed_forward_of(config: Any) -> FeedForward:
    """Build the feed-forward half with the sizes in a configuration."""
    return FeedForward(config.hidden_size, config.intermediate_size, config.hidden_act)


def pooled_head(config: Any, outputs: int) -> PooledHead:
    """BERT's pooler, dropout and a dense layer."""
    return PooledHead(config.hidden_size, config.head_dropout, outputs)


def token_head(config: Any, outputs: int) -> TokenHead:
    """Dropout and a dense layer for every token."""
    return TokenHead(config.hidden_size, config.head_dropout, outputs)


LAYER_NAMES = {
    "blocks.{}.attention.query": "encoder.layer.{}.attention.self.query",
    "blocks.{}.attention.key": "encoder.layer.{}.attention.self.key",
    "blocks.{}.attention.value": "encoder.layer.{}.attention.self.value",
    "blocks.{}.attention.output_projection": "encoder.layer.{}.attention.output.dense",
    "blocks.{}.attention_norm": "encoder.layer.{}.attention.output.LayerNorm",
    "blocks.{}.feed_forward.inner": "encoder.layer.{}.intermediate.dense",
    "blocks.{}.feed_forward.outer": "encoder.layer.{}.output.dense",
    "blocks.{}.feed_forward_norm": "encoder.layer.{}.output.LayerNorm",
}
ENCODER_NAMES = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    **LAYER_NAMES,
}

FAMILY = Family(
    torch_class="Bert",
    prefix="bert",
    encoder=BertEncoder,
    pooled_head=pooled_head,
    token_head=token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names={"pooler": "bert.pooler.dense", "logits": "classifier"},
)
