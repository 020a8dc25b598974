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


@st.composite
def eurobert(draw: DrawFn) -> Config:
    """Heads of any even width that share keys and values."""
    shared, width = draw(st.integers(1, 3)), draw(st.sampled_from([4, 6]))
    heads = shared * draw(st.integers(1, 3))
    sometimes: Config = {
        "num_key_value_heads": shared,
        "head_dim": draw(st.sampled_from([4, 8])),
        "clf_pooling": draw(st.sampled_from(["late", "bos", "mean"])),
        **rope(draw),
    }
    return {
        "model_type": "eurobert",
        "vocab_size": draw(st.integers(12, 60)),
        "hidden_size": heads * width,
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "intermediate_size": draw(st.integers(1, 40)),
        "hidden_act": draw(st.sampled_from(ACTIVATIONS)),
        "max_position_embeddings": draw(st.sampled_from([6, 20])),
        "rms_norm_eps": draw(st.sampled_from([1e-12, 1e-5, 1e-3])),
        "pad_token_id": draw(st.integers(0, 3)),
        "bos_token_id": 4,
        "eos_token_id": 5,
        "attention_bias": draw(st.booleans()),
        "mlp_bias": draw(st.booleans()),
        "classifier_pooling": draw(st.sampled_from(["late", "bos", "mean"])),
        **{key: value for key, value in sometimes.items() if draw(st.booleans())},
    }


@st.composite
def rotary_bert(draw: DrawFn, model_type: str) -> Config:
    """BERT's keys, and those of the positions."""
    heads = draw(st.integers(1, 4))
    sometimes = rope(draw)
    if model_type == "nomic_bert":
        sometimes["head_dim"] = draw(st.sampled_from([4, 8]))
        # Keys of GPT-2 beside the new ones, which Transformers ignores.
        sometimes |= {"n_layer": draw(st.integers(1, 3)), "layer_norm_epsilon": 0.1, "n_inner": 7}
    return {
        "model_type": model_type,
        "vocab_size": draw(st.integers(12, 60)),
        "hidden_size": heads * draw(st.sampled_from([4, 6])),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "intermediate_size": draw(st.integers(1, 40)),
        "hidden_act": draw(st.sampled_from(ACTIVATIONS)),
        "max_position_embeddings": draw(st.sampled_from([6, 20])),
        "type_vocab_size": draw(st.integers(0 if model_type == "gte" else 1, 3)),
        "layer_norm_eps": draw(st.sampled_from([1e-12, 1e-5, 1e-3])),
        "pad_token_id": draw(st.integers(0, 3)),
        **{key: value for key, value in sometimes.items() if draw(st.booleans())},
    }


def rope(draw: DrawFn) -> Config:
    """Rotary positions under new keys or old ones."""
    kind = draw(st.sampled_from(["default", "linear", "dynamic"]))
    theta = draw(st.sampled_from([10.0, 250_000.0]))
    factor = {} if kind == "default" else {"factor": draw(st.sampled_from([1.0, 2.0, 4.5]))}
    if draw(st.booleans()):
        return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **factor}}
    return {"rope_theta": theta, "rope_scaling": {"rope_type": kind, **factor}}
