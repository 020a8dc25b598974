"""Random tiny configurations of the families with rotary positions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kfp_finetune.components.models.configurations.rules import ACTIVATIONS

Config = dict[str, Any]


@st.composite
def modernbert(draw: DrawFn) -> Config:
    """Global and local layers in any order, windows narrower and wider than the texts."""
    heads, layers = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return {
        "model_type": "modernbert",
        "vocab_size": draw(st.integers(12, 60)),
        "hidden_size": heads * draw(st.sampled_from([2, 4, 6])),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": draw(st.integers(1, 40)),
        "hidden_activation": draw(st.sampled_from(ACTIVATIONS)),
        "classifier_activation": draw(st.sampled_from(ACTIVATIONS)),
        "classifier_pooling": draw(st.sampled_from(["cls", "mean"])),
        "max_position_embeddings": draw(st.sampled_from([6, 20, 120])),
        "local_attention": draw(st.integers(1, 12)),
        "norm_eps": draw(st.sampled_from([1e-12, 1e-5, 1e-3])),
        "pad_token_id": draw(st.integers(0, 3)),
        **{
            key: draw(st.booleans())
            for key in ("attention_bias", "mlp_bias", "norm_bias", "classifier_bias")
        },
        "global_attn_every_n_layers": draw(st.integers(1, 3)),
        "global_rope_theta": draw(st.sampled_from([10.0, 160_000.0])),
        "local_rope_theta": draw(st.sampled_from([10.0, 10_000.0])),
    }
