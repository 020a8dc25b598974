"""ALBERT (1909.11942): narrow embeddings, and layers that share their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kfp_finetune.components.models.configurations.albert import AlbertConfig
from kfp_finetune.components.models.dropout import fold_pass
from kfp_finetune.components.models.encoder import padding_bias
from kfp_finetune.components.models.families import bert
from kfp_finetune.components.models.family import Family


class AlbertEncoder(bert.BertEncoder):
    """BERT's encoder with a few groups of layers, each used several times."""

    def __init__(self, config: AlbertConfig) -> None:
        groups = [AlbertGroup(config) for _ in range(config.num_hidden_groups)]
        super().__init__(config, groups, config.embedding_size, projected=True)
        per_group = config.num_hidden_layers / config.num_hidden_groups
        self._group_of = [int(i / per_group) for i in range(config.num_hidden_layers)]

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        x, bias = self.embed(features, seed), padding_bias(features["attention_mask"])
        passes = len(self._group_of)
        for number, group in enumerate(self._group_of):
            last = first_token and number == passes - 1
            own = fold_pass(seed, number)
            x = self.through(self.blocks[group], x, bias, own, first_token=last)
        return x


class AlbertGroup(keras.layers.Layer):
    """A group of layers with their own weights."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__()
        self.blocks = [bert.BertLayer(config) for _ in range(config.inner_group_num)]
        for block in self.blocks:
            block.feed_forward_dropout.rate = 0.0
        self.built = True

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """See `BertLayer.call`."""
        *others, last = self.blocks
        for block in others:
            x = block(x, bias, seed)
        return last(x, bias, seed, first_token=first_token)


_GROUP = "encoder.albert_layer_groups.{}.albert_layers.{}"
ENCODER_NAMES = {
    **{name: theirs for name, theirs in bert.ENCODER_NAMES.items() if "blocks" not in name},
    "projection": "encoder.embedding_hidden_mapping_in",
    "blocks.{}.blocks.{}.attention.query": f"{_GROUP}.attention.query",
    "blocks.{}.blocks.{}.attention.key": f"{_GROUP}.attention.key",
    "blocks.{}.blocks.{}.attention.value": f"{_GROUP}.attention.value",
    "blocks.{}.blocks.{}.attention.output_projection": f"{_GROUP}.attention.dense",
    "blocks.{}.blocks.{}.attention_norm": f"{_GROUP}.attention.LayerNorm",
    "blocks.{}.blocks.{}.feed_forward.inner": f"{_GROUP}.ffn",
    "blocks.{}.blocks.{}.feed_forward.outer": f"{_GROUP}.ffn_output",
    "blocks.{}.blocks.{}.feed_forward_norm": f"{_GROUP}.full_layer_layer_norm",
}

FAMILY = Family(
    torch_class="Albert",
    prefix="albert",
    encoder=AlbertEncoder,
    pooled_head=bert.pooled_head,
    token_head=bert.token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names={"pooler": "albert.pooler", "logits": "classifier"},
)
