"""Jina Embeddings v3 (2409.10173), without its task adapters."""

from __future__ import annotations

from kfp_finetune.components.models.configurations.jina_embeddings_v3 import JinaEmbeddingsV3Config
from kfp_finetune.components.models.families.bert import token_head
from kfp_finetune.components.models.families.rotary_bert import (
    RotaryBertEncoder,
    encoder_names,
    query_key_value,
)
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import FeedForward
from kfp_finetune.components.models.heads import PooledHead


def feed_forward(config: JinaEmbeddingsV3Config) -> FeedForward:
    """Build BERT's feed-forward half."""
    return FeedForward(config.hidden_size, config.intermediate_size, config.hidden_act)


def pooled_head(config: JinaEmbeddingsV3Config, outputs: int) -> PooledHead:
    """Build RoBERTa's head: a pooler with dropout before and after it."""
    rate = config.head_dropout
    return PooledHead(config.hidden_size, rate, outputs, dropout_before=rate)


FAMILY = Family(
    torch_class="JinaEmbeddingsV3",
    prefix="roberta",
    encoder=lambda config: RotaryBertEncoder(config, feed_forward),
    pooled_head=pooled_head,
    token_head=token_head,
    encoder_names=encoder_names({"inner": "fc1", "outer": "fc2"}),
    pooled_head_names={"pooler": "classifier.dense", "logits": "classifier.out_proj"},
    renamed={
        r"\bencoder\.layers\.": "layers.",
        r"\bemb_ln\b": "embeddings.LayerNorm",
        r"\bmixer\.out_proj": "self_attn.o_proj",
        r"\bnorm1\b": "post_attention_layernorm",
        r"\bnorm2\b": "post_mlp_layernorm",
    },
    split=query_key_value(r"\bmixer\.Wqkv"),
)
