"""Published keys of the families with rotary positions: read, or refused by name."""

from __future__ import annotations

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
