"""GTE (2407.19669)."""

from __future__ import annotations

from kfp_finetune.components.models.configurations.gte import GteConfig
from kfp_finetune.components.models.families.bert import pooled_head, token_head
from kfp_finetune.components.models.families.rotary_bert import (
    RotaryBertEncoder,
    encoder_names,
    query_key_value,
)
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import GatedFeedForward


def feed_forward(config: GteConfig) -> GatedFeedForward:
    """Build a gated feed-forward half with a bias and dropout in the second layer only."""
    return GatedFeedForward(
        config.hidden_size,
        config.intermediate_size,
        config.hidden_act,
        outer_bias=True,
        dropout=config.hidden_dropout_prob,
    )


FAMILY = Family(
    torch_class="Gte",
    prefix="gte",
    encoder=lambda config: RotaryBertEncoder(config, feed_forward),
    pooled_head=pooled_head,
    token_head=token_head,
    encoder_names=encoder_names({"gate": "gate_proj", "inner": "up_proj", "outer": "down_proj"}),
    pooled_head_names={"pooler": "gte.pooler.dense", "logits": "classifier"},
    # Names in the checkpoints that were published with `model_type` "new".
    renamed={
        r"^new\.": "gte.",
        r"\bencoder\.layer\.": "layers.",
        r"\battention\.o_proj": "self_attn.o_proj",
        r"\battn_ln\b": "post_attention_layernorm",
        r"\bmlp_ln\b": "post_mlp_layernorm",
    },
    split={
        **query_key_value(r"\battention\.qkv_proj"),
        r"\bup_gate_proj": ("up_proj", "gate_proj"),
    },
)
