"""RoBERTa with pre-norm layers, as trained by fairseq with `--encoder-normalize-before`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kfp_finetune.components.models.configurations.roberta import RobertaConfig
from kfp_finetune.components.models.families import bert, roberta
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.norms import LayerNorm


class PreNormEncoder(roberta.RobertaEncoder):
    """RoBERTa's encoder with pre-norm layers and a normalization after the last one."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config, [PreNormLayer(config) for _ in range(config.num_hidden_layers)])
        self.last_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        return self.last_norm(super().call(features, seed, first_token))


class PreNormLayer(bert.BertLayer):
    """Attention and feed-forward, each with a residual and a normalization before it."""

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """See `BertLayer.call`."""
        attended = self.attention(self.attention_norm(x), bias, seed, first_token=first_token)
        x = (x[:, :1] if first_token else x) + self.attention_dropout(attended, seed)
        inner = self.feed_forward(self.feed_forward_norm(x))
        return x + self.feed_forward_dropout(inner, seed)


ENCODER_NAMES = {
    **bert.ENCODER_NAMES,
    "blocks.{}.attention_norm": "encoder.layer.{}.attention.LayerNorm",
    "blocks.{}.feed_forward_norm": "encoder.layer.{}.intermediate.LayerNorm",
    "last_norm": "LayerNorm",
}

FAMILY = Family(
    torch_class="RobertaPreLayerNorm",
    prefix="roberta_prelayernorm",
    encoder=PreNormEncoder,
    pooled_head=roberta.pooled_head,
    token_head=bert.token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names=roberta.POOLED_HEAD_NAMES,
)
