"""MPNet (2004.09297): BERT's layers with a bias for relative positions (1910.10683)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.models.configurations.mpnet import BUCKETS, PADDING, MPNetConfig
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.encoder import padding_bias
from kfp_finetune.components.models.families import bert, roberta
from kfp_finetune.components.models.family import Family

# Larger distances share a bucket.
_FARTHEST = 128


class MPNetEncoder(bert.BertEncoder):
    """BERT's encoder with RoBERTa's positions; all layers share the bias for distances."""

    def __init__(self, config: MPNetConfig) -> None:
        super().__init__(config)
        self.distances = Embedding(
            config.relative_attention_num_buckets,
            config.num_attention_heads,
            name="relative_attention_bias",  # exempt from weight decay
        )
        self._longest = config.max_position_embeddings
        self._buckets = buckets(np.arange(-self._longest, self._longest + 1))

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        x, padding = self.embed(features, seed), padding_bias(features["attention_mask"])
        return self.run(self.blocks, x, (padding, self.bias(tf.shape(x)[1])), seed, first_token)

    def position_vectors(self, ids: Any) -> Any:
        """See `BertEncoder.position_vectors`."""
        return self.positions(roberta.positions_after(ids, PADDING))

    def bias(self, width: Any) -> Any:
        """The bias of the score of every query and key, shape [1, heads, width, width]."""
        first = self._longest - width + 1
        here = tf.constant(self._buckets)[first : first + 2 * width]
        by_distance = tf.transpose(self.distances(here))  # [heads, 2 width], starting at 1 - width
        # Each row is the one above shifted by one: read the values in rows one element shorter.
        rows = tf.reshape(tf.tile(by_distance, [1, width]), [-1, 2 * width * width])
        rows = tf.reshape(rows[:, : width * (2 * width - 1)], [-1, width, 2 * width - 1])
        return rows[tf.newaxis, :, :, width - 1 :]


def buckets(distances: Any) -> Any:
    """The bucket of a distance: one each for small distances, logarithmic for larger ones.

    Args:
        distances: Position of the key minus that of the query, int, any shape.

    Returns:
        int32, the same shape, each below `BUCKETS`.
    """
    each_way = BUCKETS // 2
    exact = each_way // 2
    far = np.abs(distances).astype(np.float32)
    share = np.log(np.maximum(far, exact) / np.float32(exact)) / np.float32(
        math.log(_FARTHEST / exact)
    )
    logarithmic = exact + (share * np.float32(each_way - exact)).astype(np.int32)
    found = np.where(far < exact, far, np.minimum(logarithmic, each_way - 1))
    return (found + each_way * (distances > 0)).astype(np.int32)


ENCODER_NAMES = {
    **{ours: theirs for ours, theirs in bert.ENCODER_NAMES.items() if ours != "token_types"},
    "distances": "encoder.relative_attention_bias",
    "blocks.{}.attention.query": "encoder.layer.{}.attention.attn.q",
    "blocks.{}.attention.key": "encoder.layer.{}.attention.attn.k",
    "blocks.{}.attention.value": "encoder.layer.{}.attention.attn.v",
    "blocks.{}.attention.output_projection": "encoder.layer.{}.attention.attn.o",
    "blocks.{}.attention_norm": "encoder.layer.{}.attention.LayerNorm",
}

FAMILY = Family(
    torch_class="MPNet",
    prefix="mpnet",
    encoder=MPNetEncoder,
    pooled_head=roberta.pooled_head,
    token_head=bert.token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names=roberta.POOLED_HEAD_NAMES,
)
