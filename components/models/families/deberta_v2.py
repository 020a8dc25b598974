"""DeBERTa v2 (2006.03654) and v3 (2111.09543), which have the same encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from kfp_finetune.components.models.activations import activation_function
from kfp_finetune.components.models.configurations.deberta_v2 import DebertaV2Config
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.disentangled import (
    DisentangledAttention,
    RelativePositions,
    split_heads,
)
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.families import deberta
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.norms import LayerNorm


class DebertaV2Encoder(deberta.DebertaEncoder):
    """DeBERTa's encoder with buckets of relative positions and, optionally, a convolution."""

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config)
        self.convolution = Convolution(config) if config.conv_kernel_size > 0 else None

    def attention(self, config: Any) -> keras.layers.Layer:
        """See `DebertaEncoder.attention`."""
        return DebertaV2Attention(config)

    def relative_positions(self, config: Any) -> RelativePositions:
        """See `DebertaEncoder.relative_positions`."""
        return RelativePositions(
            config.hidden_size,
            config.span,
            config.farthest,
            config.position_buckets,
            config.layer_norm_eps if config.normed_positions else None,
        )

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        if self.convolution is None:
            return super().call(features, seed, first_token)
        x = self.embed(features, seed)
        mask = tf.cast(features["attention_mask"], x.dtype)[..., tf.newaxis]
        bias = self.biases(features["attention_mask"])
        first, *blocks = self.blocks
        x = self.convolution(x, first(x, bias, seed), mask, seed)
        if not blocks:
            return x[:, :1] if first_token else x
        return self.run(blocks, x, bias, seed, first_token)


class DebertaV2Attention(DisentangledAttention):
    """Disentangled attention with separate matrices, which positions may share."""

    def __init__(self, config: DebertaV2Config) -> None:
        hidden = config.hidden_size
        super().__init__(
            hidden,
            config.num_attention_heads,
            config.kinds,
            config.attention_probs_dropout_prob,
            config.hidden_dropout_prob,
        )
        own = config.kinds if config.relative_attention and not config.share_att_key else ()
        self._kinds = config.kinds
        self.query = Dense(hidden, hidden)
        self.key = Dense(hidden, hidden)
        self.value = Dense(hidden, hidden)
        self.position_key = Dense(hidden, hidden) if "c2p" in own else None
        self.position_query = Dense(hidden, hidden) if "p2c" in own else None
        self.built = True

    def project(self, x: Any, first_token: bool) -> tuple[Any, Any, Any]:
        """See `DisentangledAttention.project`."""
        return (
            split_heads(self.query(x[:, :1] if first_token else x), self._heads),
            split_heads(self.key(x), self._heads),
            split_heads(self.value(x), self._heads),
        )

    def project_positions(self, embeddings: Any) -> tuple[Any, Any]:
        """See `DisentangledAttention.project_positions`."""
        key, query = self.position_key or self.key, self.position_query or self.query
        return (
            key(embeddings) if "c2p" in self._kinds else None,
            query(embeddings) if "p2c" in self._kinds else None,
        )


class Convolution(keras.layers.Layer):
    """A convolution of the word embeddings, added to the output of the first layer."""

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {
        "kernel": ("conv.weight", (2, 1, 0)),
        "bias": ("conv.bias", None),
    }

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__()
        hidden, size = config.hidden_size, config.conv_kernel_size
        self._margin = size // 2
        self.kernel = self.add_weight(
            shape=(size, hidden, hidden), initializer="zeros", name="kernel"
        )
        self.bias = self.add_weight(shape=(hidden,), initializer="zeros", name="bias")
        self.dropout = Dropout(config.hidden_dropout_prob)
        self._activation = activation_function(config.conv_act)
        self.norm = LayerNorm(hidden, config.layer_norm_eps)
        self.built = True

    def call(self, x: Any, residual: Any, mask: Any, seed: Any = None) -> Any:
        """Hidden states and residual [batch, width, hidden], mask [batch, width, 1]."""
        size, hidden, _ = self.kernel.shape
        margin, width = self._margin, tf.shape(x)[1]
        padded = tf.pad(x, [[0, 0], [margin, margin], [0, 0]])
        beside = tf.concat([padded[:, at : at + width] for at in range(size)], -1)
        kernel = tf.reshape(tf.convert_to_tensor(self.kernel), [size * hidden, hidden])
        y = tf.matmul(tf.reshape(beside, [-1, size * hidden]), kernel)
        y = tf.nn.bias_add(y, tf.convert_to_tensor(self.bias))
        y = tf.reshape(y, tf.shape(x)) * mask
        y = self._activation(self.dropout(y, seed))
        return self.norm(residual + y) * mask


ATTENTION = deberta.ATTENTION

FAMILY = Family(
    torch_class="DebertaV2",
    prefix="deberta",
    encoder=DebertaV2Encoder,
    pooled_head=deberta.pooled_head,
    token_head=deberta.token_head,
    encoder_names={
        **deberta.ENCODER_NAMES,
        "distances.norm": "encoder.LayerNorm",
        "convolution": "encoder.conv",
        "convolution.norm": "encoder.conv.LayerNorm",
        "blocks.{}.attention.query": f"{ATTENTION}.query_proj",
        "blocks.{}.attention.key": f"{ATTENTION}.key_proj",
        "blocks.{}.attention.value": f"{ATTENTION}.value_proj",
        "blocks.{}.attention.position_key": f"{ATTENTION}.pos_key_proj",
        "blocks.{}.attention.position_query": f"{ATTENTION}.pos_query_proj",
    },
    pooled_head_names={"pooler": "pooler.dense", "logits": "classifier"},
    # Names in the first checkpoints and in Transformers' TensorFlow class.
    renamed={
        r"\.self\.pos_proj\.": ".self.pos_key_proj.",
        r"\.self\.pos_q_proj\.": ".self.pos_query_proj.",
    },
    ignored=r"(^|\.)(position_ids|position_embeddings\.weight)$",
)
