"""BERT (1810.04805)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.attention import SelfAttention
from kfp_finetune.components.models.configurations.bert import BertConfig
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.encoder import Encoder, padding_bias
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import FeedForward
from kfp_finetune.components.models.heads import PooledHead, TokenHead
from kfp_finetune.components.models.norms import LayerNorm


class BertEncoder(Encoder):
    """Word, position and token-type embeddings, and a stack of post-norm layers."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.words = Embedding(config.vocab_size, hidden)
        self.positions = Embedding(config.max_position_embeddings, hidden)
        self.token_types = Embedding(config.type_vocab_size, hidden)
        self.norm = LayerNorm(hidden, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.blocks = [BertLayer(config) for _ in range(config.num_hidden_layers)]
        self.built = True

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """As `Encoder.call`."""
        ids = features["input_ids"]
        x = self.words(ids) + self.positions.first(tf.shape(ids)[1])
        types = features.get("token_type_ids")
        x += self.token_types.first(1) if types is None else self.token_types(types)
        x = self.dropout(self.norm(x), seed)
        bias = padding_bias(features["attention_mask"])
        *blocks, last = self.blocks
        for block in blocks:
            x = block(x, bias, seed)
        return last(x, bias, seed, first_token=first_token)


class BertLayer(keras.layers.Layer):
    """Attention and feed-forward, each with a residual and normalized after it.

    Args:
        config: BERT's, or one with the same keys.
        attention: In place of BERT's own.
    """

    def __init__(self, config: Any, attention: keras.layers.Layer | None = None) -> None:
        super().__init__()
        hidden, epsilon = config.hidden_size, config.layer_norm_eps
        self.attention = attention or SelfAttention(
            hidden, config.num_attention_heads, config.attention_probs_dropout_prob
        )
        self.attention_dropout = Dropout(config.hidden_dropout_prob)
        self.attention_norm = LayerNorm(hidden, epsilon)
        self.feed_forward = FeedForward(hidden, config.intermediate_size, config.hidden_act)
        self.feed_forward_dropout = Dropout(config.hidden_dropout_prob)
        self.feed_forward_norm = LayerNorm(hidden, epsilon)
        self.built = True

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """Of shape [batch, width, hidden]; the first token's alone if `first_token`."""
        attended = self.attention_dropout(
            self.attention(x, bias, seed, first_token=first_token), seed
        )
        x = self.attention_norm((x[:, :1] if first_token else x) + attended)
        return self.feed_forward_norm(x + self.feed_forward_dropout(self.feed_forward(x), seed))


def pooled_head(config: BertConfig, outputs: int) -> PooledHead:
    """BERT's pooler, dropout and a dense layer."""
    return PooledHead(config.hidden_size, head_dropout(config), outputs)


def token_head(config: BertConfig, outputs: int) -> TokenHead:
    """Dropout and a dense layer for every token."""
    return TokenHead(config.hidden_size, head_dropout(config), outputs)


def head_dropout(config: BertConfig) -> float:
    """The rate before the last layer: the hidden states' where the head has none of its own."""
    own = config.classifier_dropout
    return config.hidden_dropout_prob if own is None else own


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
