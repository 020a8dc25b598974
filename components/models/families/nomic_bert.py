"""NomicBERT (2402.01613)."""

from __future__ import annotations

from kfp_finetune.components.models.configurations.nomic_bert import NomicBertConfig
from kfp_finetune.components.models.families.bert import pooled_head, token_head
from kfp_finetune.components.models.families.rotary_bert import (
    RotaryBertEncoder,
    encoder_names,
    query_key_value,
)
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import GatedFeedForward


def feed_forward(config: NomicBertConfig) -> GatedFeedForward:
    """Build SwiGLU without biases."""
    return GatedFeedForward(config.hidden_size, config.intermediate_size, config.hidden_act)


FAMILY = Family(
    torch_class="NomicBert",
    prefix="nomic_bert",
    encoder=lambda config: RotaryBertEncoder(config, feed_forward, bias=False),
    pooled_head=pooled_head,
    token_head=token_head,
    encoder_names=encoder_names({"gate": "gate_proj", "inner": "up_proj", "outer": "down_proj"}),
    pooled_head_names={"pooler": "nomic_bert.pooler.dense", "logits": "classifier"},
    # Names in the published checkpoints; a masked language model has the prefix "bert".
    renamed={
        r"^bert\.": "nomic_bert.",
        r"\bencoder\.layers\.": "layers.",
        r"\bemb_ln\b": "embeddings.LayerNorm",
        r"\battn\.out_proj": "self_attn.o_proj",
        r"\bfc11\b": "up_proj",
        r"\bfc12\b": "gate_proj",
        r"\bfc2\b": "down_proj",
        r"\bnorm1\b": "post_attention_layernorm",
        r"\bnorm2\b": "post_mlp_layernorm",
    },
    split=query_key_value(r"\battn\.Wqkv"),
)
