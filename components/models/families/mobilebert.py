"""MobileBERT (2004.02984): BERT's layers with bottlenecks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from kfp_finetune.components.models.attention import attend, split_heads
from kfp_finetune.components.models.configurations.mobilebert import MobileBertConfig
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.encoder import Encoder, padding_bias
from kfp_finetune.components.models.families import bert
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import FeedForward
from kfp_finetune.components.models.heads import Head, TokenHead
from kfp_finetune.components.models.norms import LayerNorm

# PyTorch's default, which it uses in two places instead of the configured value.
_DEFAULT_EPSILON = 1e-5


class MobileBertEncoder(Encoder):
    """Embeddings of three neighbouring tokens, combined to one, and a stack of thin layers."""

    def __init__(self, config: MobileBertConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, config.embedding_size
        self._trigrams = config.trigram_input
        self.words = Embedding(config.vocab_size, width)
        self.words.fixed = config.pad_token_id
        self.projection = Dense(3 * width if self._trigrams else width, hidden)
        self.positions = Embedding(config.max_position_embeddings, hidden)
        self.token_types = Embedding(config.type_vocab_size, hidden)
        self.norm = norm(config, hidden, _DEFAULT_EPSILON)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.blocks = [MobileBertLayer(config) for _ in range(config.num_hidden_layers)]
        self.built = True

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        ids, types = features["input_ids"], features.get("token_type_ids")
        x = self.words(ids)
        if self._trigrams:
            around = tf.pad(x, [[0, 0], [1, 1], [0, 0]])
            x = tf.concat([around[:, 2:], x, around[:, :-2]], -1)
        x = self.projection(x) + self.positions.first(tf.shape(ids)[1])
        x += self.token_types.first(1) if types is None else self.token_types(types)
        x = self.dropout(self.norm(x), seed)
        return self.run(self.blocks, x, padding_bias(features["attention_mask"]), seed, first_token)


class MobileBertLayer(keras.layers.Layer):
    """A bottleneck with attention and several feed-forward halves inside."""

    def __init__(self, config: MobileBertConfig) -> None:
        super().__init__()
        hidden, inner, epsilon = config.hidden_size, config.true_hidden_size, config.layer_norm_eps
        bottleneck = config.use_bottleneck
        shared = bottleneck and config.key_query_shared_bottleneck
        self._all_narrow = config.use_bottleneck_attention
        self.into = Bottleneck(config) if bottleneck else None
        self.into_attention = Bottleneck(config) if shared else None
        self.attention = MobileBertAttention(config)
        # There is no dropout inside the bottleneck.
        rate = config.hidden_dropout_prob
        self.attention_dropout = Dropout(0.0 if bottleneck else rate)
        self.attention_norm = norm(config, inner, epsilon)
        count = config.num_feedforward_networks
        sizes = inner, config.intermediate_size, config.hidden_act
        self.feed_forwards = [FeedForward(*sizes) for _ in range(count - 1)]
        self.feed_forward_norms = [norm(config, inner, epsilon) for _ in range(count - 1)]
        self.last_feed_forward = FeedForward(*sizes)
        self.last_dropout = Dropout(0.0 if bottleneck else rate)
        self.last_norm = norm(config, inner, _DEFAULT_EPSILON)
        self.out = Dense(inner, hidden) if bottleneck else None
        self.out_dropout = Dropout(rate)
        self.out_norm = norm(config, hidden, epsilon) if bottleneck else None
        self.built = True

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """Hidden states, shape [batch, width, hidden]; only the first token's if `first_token`."""
        narrow = x if self.into is None else self.into(x)
        value = narrow if self._all_narrow else x
        query = value if self.into_attention is None else self.into_attention(x)
        key = query
        if first_token:
            x, narrow, query = x[:, :1], narrow[:, :1], query[:, :1]
        attended = self.attention(query, key, value, bias, seed)
        y = self.attention_norm(narrow + self.attention_dropout(attended, seed))
        for feed_forward, normalize in zip(
            self.feed_forwards, self.feed_forward_norms, strict=True
        ):
            y = normalize(y + feed_forward(y))
        y = self.last_norm(y + self.last_dropout(self.last_feed_forward(y), seed))
        if self.out is None or self.out_norm is None:
            return y
        return self.out_norm(x + self.out_dropout(self.out(y), seed))


class MobileBertAttention(keras.layers.Layer):
    """Multi-head attention whose values may be wider than its queries and keys."""

    def __init__(self, config: MobileBertConfig) -> None:
        super().__init__()
        inner = config.true_hidden_size
        self._heads = config.num_attention_heads
        self.query = Dense(inner, inner)
        self.key = Dense(inner, inner)
        narrow = config.use_bottleneck_attention
        self.value = Dense(inner if narrow else config.hidden_size, inner)
        self.output_projection = Dense(inner, inner)
        self.dropout = Dropout(config.attention_probs_dropout_prob)
        self.built = True

    def call(self, query: Any, key: Any, value: Any, bias: Any, seed: Any = None) -> Any:
        """Attend to three inputs of shape [batch, width, any]; returns [batch, queries, inner]."""
        query = split_heads(self.query(query), self._heads)
        key = split_heads(self.key(key), self._heads)
        value = split_heads(self.value(value), self._heads)
        return self.output_projection(attend(query, key, value, bias, self.dropout, seed))


class Bottleneck(keras.layers.Layer):
    """A dense layer to fewer features, and a normalization."""

    def __init__(self, config: MobileBertConfig) -> None:
        super().__init__()
        self.dense = Dense(config.hidden_size, config.intra_bottleneck_size)
        self.norm = norm(config, config.intra_bottleneck_size, config.layer_norm_eps)
        self.built = True

    def call(self, x: Any) -> Any:
        """Hidden states, shape [..., hidden]."""
        return self.norm(self.dense(x))


class NoNorm(keras.layers.Layer):
    """The scale and offset of a layer normalization without the normalization (section 3.4)."""

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = LayerNorm.TORCH

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = self.add_weight(shape=(width,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(width,), initializer="zeros", name="beta")
        self.built = True

    def call(self, x: Any) -> Any:
        """Hidden states, shape [..., width]."""
        return tf.nn.bias_add(x * tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta))


def norm(config: MobileBertConfig, width: int, epsilon: float) -> keras.layers.Layer:
    """Build the type of normalization that the configuration names."""
    return NoNorm(width) if config.normalization_type == "no_norm" else LayerNorm(width, epsilon)


class FirstTokenHead(TokenHead):
    """Dropout and one dense layer on the first token's state."""

    def call(self, hidden: Any, attention_mask: Any, seed: Any = None) -> Any:
        """See `Head.call`; shape [batch, outputs]."""
        return super().call(hidden[:, 0], attention_mask, seed)


def pooled_head(config: MobileBertConfig, outputs: int) -> Head:
    """Build BERT's head, or one without a pooler."""
    if config.classifier_activation:
        return bert.pooled_head(config, outputs)
    return FirstTokenHead(config.hidden_size, config.head_dropout, outputs)


_LAYER = "encoder.layer.{}"
ENCODER_NAMES = {
    "words": "embeddings.word_embeddings",
    "projection": "embeddings.embedding_transformation",
    "positions": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "blocks.{}.into.dense": f"{_LAYER}.bottleneck.input.dense",
    "blocks.{}.into.norm": f"{_LAYER}.bottleneck.input.LayerNorm",
    "blocks.{}.into_attention.dense": f"{_LAYER}.bottleneck.attention.dense",
    "blocks.{}.into_attention.norm": f"{_LAYER}.bottleneck.attention.LayerNorm",
    "blocks.{}.attention.query": f"{_LAYER}.attention.self.query",
    "blocks.{}.attention.key": f"{_LAYER}.attention.self.key",
    "blocks.{}.attention.value": f"{_LAYER}.attention.self.value",
    "blocks.{}.attention.output_projection": f"{_LAYER}.attention.output.dense",
    "blocks.{}.attention_norm": f"{_LAYER}.attention.output.LayerNorm",
    "blocks.{}.feed_forwards.{}.inner": f"{_LAYER}.ffn.{{}}.intermediate.dense",
    "blocks.{}.feed_forwards.{}.outer": f"{_LAYER}.ffn.{{}}.output.dense",
    "blocks.{}.feed_forward_norms.{}": f"{_LAYER}.ffn.{{}}.output.LayerNorm",
    "blocks.{}.last_feed_forward.inner": f"{_LAYER}.intermediate.dense",
    "blocks.{}.last_feed_forward.outer": f"{_LAYER}.output.dense",
    "blocks.{}.last_norm": f"{_LAYER}.output.LayerNorm",
    "blocks.{}.out": f"{_LAYER}.output.bottleneck.dense",
    "blocks.{}.out_norm": f"{_LAYER}.output.bottleneck.LayerNorm",
}

FAMILY = Family(
    torch_class="MobileBert",
    prefix="mobilebert",
    encoder=MobileBertEncoder,
    pooled_head=pooled_head,
    token_head=bert.token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names={"pooler": "mobilebert.pooler.dense", "logits": "classifier"},
)
