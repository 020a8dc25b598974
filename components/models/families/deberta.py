"""DeBERTa (2006.03654)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from kfp_finetune.components.models.configurations.deberta import DebertaConfig
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.disentangled import (
    DisentangledAttention,
    RelativePositions,
    split_heads,
)
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.encoder import Encoder, padding_bias
from kfp_finetune.components.models.families.bert import LAYER_NAMES as BERT_LAYER_NAMES
from kfp_finetune.components.models.families.bert import BertLayer
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.heads import PooledHead, TokenHead
from kfp_finetune.components.models.norms import LayerNorm


class DebertaEncoder(Encoder):
    """Word embeddings, optional position and type embeddings, and BERT's layers."""

    def __init__(self, config: DebertaConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        width = config.embedding_size or hidden
        self.words = Embedding(config.vocab_size, width)
        self.positions = (
            Embedding(config.max_position_embeddings, width)
            if config.position_biased_input
            else None
        )
        self.token_types = (
            Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        )
        self.projection = Dense(width, hidden, bias=False) if width != hidden else None
        self.norm = LayerNorm(hidden, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.blocks = [
            BertLayer(config, self.attention(config)) for _ in range(config.num_hidden_layers)
        ]
        self.distances = self.relative_positions(config) if config.relative_attention else None
        self.built = True

    def attention(self, config: Any) -> keras.layers.Layer:
        """The attention of one layer."""
        return DebertaAttention(config)

    def relative_positions(self, config: Any) -> RelativePositions:
        """The embeddings of relative positions."""
        return RelativePositions(config.hidden_size, config.span, config.farthest)

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        x = self.embed(features, seed)
        bias = self.biases(features["attention_mask"])
        return self.run(self.blocks, x, bias, seed, first_token)

    def embed(self, features: Mapping[str, Any], seed: Any) -> Any:
        """The input of the first layer, shape [batch, width, hidden]."""
        ids = features["input_ids"]
        x = self.words(ids)
        if self.positions is not None:
            x += self.positions.first(tf.shape(ids)[1])
        if self.token_types is not None:
            types = features.get("token_type_ids")
            x += self.token_types.first(1) if types is None else self.token_types(types)
        x = x if self.projection is None else self.projection(x)
        mask = tf.cast(features["attention_mask"], x.dtype)
        return self.dropout(self.norm(x) * mask[..., tf.newaxis], seed)

    def biases(self, attention_mask: Any) -> tuple[Any, Any]:
        """The relative positions for all layers, as `DisentangledAttention.call` takes them.

        Padding attends to all tokens equally, as in PyTorch.
        """
        mask = attention_mask
        pairs = padding_bias(mask[:, :, tf.newaxis] * mask[:, tf.newaxis])[:, 0, 0]
        distances = self.distances
        return pairs[tf.newaxis], distances and distances.up_to(tf.shape(mask)[1])


class DebertaAttention(DisentangledAttention):
    """Disentangled attention with one matrix for queries, keys and values, and no key bias."""

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {
        "query_bias": ("q_bias", None),
        "value_bias": ("v_bias", None),
    }

    def __init__(self, config: DebertaConfig) -> None:
        hidden = config.hidden_size
        super().__init__(
            hidden,
            config.num_attention_heads,
            config.kinds,
            config.attention_probs_dropout_prob,
            config.hidden_dropout_prob,
        )
        kinds = config.kinds if config.relative_attention else ()
        self.projection = Dense(hidden, 3 * hidden, bias=False)
        self.query_bias = self.add_weight(shape=(hidden,), initializer="zeros", name="query_bias")
        self.value_bias = self.add_weight(shape=(hidden,), initializer="zeros", name="value_bias")
        self.position_key = Dense(hidden, hidden, bias=False) if "c2p" in kinds else None
        self.position_query = Dense(hidden, hidden) if "p2c" in kinds else None
        self.built = True

    def project(self, x: Any, first_token: bool) -> tuple[Any, Any, Any]:
        """See `DisentangledAttention.project`."""
        query, key, value = tf.split(split_heads(self.projection(x), self._heads), 3, -1)
        query, value = (
            query + self._of_head(self.query_bias),
            value + self._of_head(self.value_bias),
        )
        return query[:, :, :1] if first_token else query, key, value

    def _of_head(self, bias: Any) -> Any:
        return tf.reshape(tf.convert_to_tensor(bias), [self._heads, 1, 1, -1])

    def project_positions(self, embeddings: Any) -> tuple[Any, Any]:
        """See `DisentangledAttention.project_positions`."""
        return (
            self.position_key and self.position_key(embeddings),
            self.position_query and self.position_query(embeddings),
        )


def pooled_head(config: DebertaConfig, outputs: int) -> PooledHead:
    """DeBERTa's pooler, dropout and a dense layer."""
    own = config.cls_dropout
    return PooledHead(
        config.hidden_size,
        config.hidden_dropout_prob if own is None else own,
        outputs,
        config.pooler_hidden_act,
        config.pooler_dropout,
    )


def token_head(config: DebertaConfig, outputs: int) -> TokenHead:
    """Dropout and a dense layer for every token."""
    return TokenHead(config.hidden_size, config.hidden_dropout_prob, outputs)


ATTENTION = "encoder.layer.{}.attention.self"
LAYER_NAMES = {
    name: torch_name
    for name, torch_name in BERT_LAYER_NAMES.items()
    if not torch_name.startswith(ATTENTION)
}
ENCODER_NAMES = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "projection": "embeddings.embed_proj",
    "norm": "embeddings.LayerNorm",
    "distances.table": "encoder.rel_embeddings",
    **LAYER_NAMES,
}

FAMILY = Family(
    torch_class="Deberta",
    prefix="deberta",
    encoder=DebertaEncoder,
    pooled_head=pooled_head,
    token_head=token_head,
    encoder_names={
        **ENCODER_NAMES,
        "blocks.{}.attention": ATTENTION,
        "blocks.{}.attention.projection": f"{ATTENTION}.in_proj",
        "blocks.{}.attention.position_key": f"{ATTENTION}.pos_proj",
        "blocks.{}.attention.position_query": f"{ATTENTION}.pos_q_proj",
    },
    pooled_head_names={"pooler": "pooler.dense", "logits": "classifier"},
    ignored=r"(^|\.)(position_ids|position_embeddings\.weight)$",
)
