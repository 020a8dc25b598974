"""Published keys of the families with rotary positions: read, or refused by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models import registry

WHERE = Path("config.json")
# As nomic-embed-text-v1.5 has them, with other sizes.
NOMIC = {
    "model_type": "nomic_bert",
    "activation_function": "swiglu",
    "attn_pdrop": 0.0,
    "embd_pdrop": 0.1,
    "layer_norm_epsilon": 1e-6,
    "mlp_fc1_bias": False,
    "n_embd": 32,
    "n_head": 4,
    "n_inner": None,
    "n_layer": 3,
    "n_positions": 8192,
    "prenorm": False,
    "qkv_proj_bias": False,
    "rotary_emb_base": 500,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
}


def test_the_keys_of_gpt2_are_read() -> None:
    config: Any = registry.read_config(NOMIC, WHERE)
    assert (config.hidden_size, config.num_attention_heads, config.num_hidden_layers) == (32, 4, 3)
    assert (config.intermediate_size, config.layer_norm_eps, config.hidden_act) == (
        128,
        1e-6,
        "silu",
    )
    assert (config.rope.theta, config.max_position_embeddings) == (500, 2_048)
    assert config.hidden_dropout_prob == 0.1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prenorm", True),
        ("qkv_proj_bias", True),
        ("rotary_emb_fraction", 0.5),
        ("rotary_emb_interleaved", True),
        ("moe_every_n_layers", 2),
        ("activation_function", "gelu"),
    ],
)
def test_what_only_published_code_computes_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=key):
        registry.read_config({**NOMIC, key: value}, WHERE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layer_norm_type", "rms_norm"),
        ("logn_attention_scale", True),
        ("position_embedding_type", "absolute"),
    ],
)
def test_the_same_of_gte(key: str, value: Any) -> None:
    published = {
        "model_type": "gte",
        "layer_norm_type": "layer_norm",
        "logn_attention_scale": False,
        "position_embedding_type": "rope",
    }
    registry.read_config(published, WHERE)
    with pytest.raises(InputError, match=key):
        registry.read_config({**published, key: value}, WHERE)


@pytest.mark.parametrize("family", ["eurobert", "gte", "jina_embeddings_v3", "nomic_bert"])
@pytest.mark.parametrize(
    "scaling",
    [
        {"type": "ntk", "factor": 8.0},
        {"rope_type": "yarn", "factor": 2.0},
        {"rope_type": "linear"},
        {"rope_type": "default", "partial_rotary_factor": 0.5},
        "linear",
    ],
)
def test_other_rotations_are_refused(family: str, scaling: Any) -> None:
    with pytest.raises(InputError, match="rope_parameters"):
        registry.read_config({"model_type": family, "rope_scaling": scaling}, WHERE)


def test_old_and_new_keys_of_rotations_are_both_written() -> None:
    described = {"model_type": "gte", "rope_theta": 20_000, "rope_scaling": None}
    config: Any = registry.read_config(described, WHERE)
    assert config.rope_parameters == {"rope_theta": 20_000, "rope_type": "default"}
    assert config.old_keys() == {"rope_theta": 20_000, "rope_scaling": None}


def test_the_old_name_of_eurobert_s_pooling_is_read() -> None:
    config: Any = registry.read_config({"model_type": "eurobert", "clf_pooling": "mean"}, WHERE)
    assert config.classifier_pooling == config.old_keys()["clf_pooling"] == "mean"


@pytest.mark.parametrize(
    ("family", "old", "new"),
    [
        ("eurobert", {"clf_pooling": "bos"}, {"classifier_pooling": "mean"}),
        ("nomic_bert", {"layer_norm_epsilon": 1e-3}, {"layer_norm_eps": 1e-5}),
        ("nomic_bert", {"n_layer": 2}, {"num_hidden_layers": 3}),
        ("nomic_bert", {"n_inner": None}, {"intermediate_size": 32}),
        ("nomic_bert", {"rotary_emb_base": 500}, {"rope_theta": 2_000}),
    ],
)
def test_a_key_of_transformers_counts_before_one_of_published_code(
    family: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    described = {"model_type": family, **new}
    for both in ({**described, **old}, {**old, **described}):
        assert _same_model(both, described)
    assert not _same_model({"model_type": family, **old}, described)


def _same_model(one: dict[str, Any], other: dict[str, Any]) -> bool:
    read = (dataclasses.replace(registry.read_config(c, WHERE), described={}) for c in (one, other))
    return next(read) == next(read)
