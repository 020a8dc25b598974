"""Random tiny configurations of every family, and random batches for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from kfp_finetune.components.models.configurations.rules import ACTIVATIONS
from tests.models.parity.modern import modernbert

LABELS = 3
Config = dict[str, Any]


@st.composite
def bert(draw: DrawFn) -> Config:
    """What BERT and its descendants have in common."""
    heads = draw(st.integers(1, 4))
    return {
        "model_type": "bert",
        "vocab_size": draw(st.integers(12, 60)),
        "hidden_size": heads * draw(st.sampled_from([2, 4, 6])),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "intermediate_size": draw(st.integers(1, 40)),
        "hidden_act": draw(st.sampled_from(ACTIVATIONS)),
        "max_position_embeddings": draw(st.integers(6, 24)),
        "type_vocab_size": draw(st.integers(1, 3)),
        "layer_norm_eps": draw(st.sampled_from([1e-12, 1e-5, 1e-3])),
        "pad_token_id": draw(st.integers(0, 3)),
    }


@st.composite
def deberta(draw: DrawFn) -> Config:
    """BERT's, with whatever positions DeBERTa has."""
    config = draw(bert())
    relative = draw(st.booleans())
    kinds = draw(st.sampled_from(["c2p|p2c", ["p2c", "c2p"], ["c2p"], "p2c"]))
    sometimes: Config = {
        "embedding_size": draw(st.integers(1, 9)),
        "cls_dropout": 0.2,
        "pooler_hidden_size": config["hidden_size"],
    }
    return {
        **config,
        "model_type": "deberta",
        "type_vocab_size": draw(st.integers(0, 2)),
        "relative_attention": relative,
        "pos_att_type": kinds if relative or draw(st.booleans()) else None,
        "max_relative_positions": draw(st.sampled_from([-1, 3, 9, 30])),
        "position_biased_input": draw(st.booleans()),
        "pooler_hidden_act": draw(st.sampled_from(ACTIVATIONS)),
        **{key: value for key, value in sometimes.items() if draw(st.booleans())},
    }


@st.composite
def deberta_v2(draw: DrawFn) -> Config:
    """DeBERTa's, with buckets, shared matrices and a convolution."""
    config = draw(deberta())
    farthest = config["max_relative_positions"]
    farthest = farthest if farthest > 0 else config["max_position_embeddings"]
    sometimes: Config = {
        "share_att_key": True,
        "conv_kernel_size": draw(st.sampled_from([0, 1, 3, 5])),
        "conv_act": draw(st.sampled_from(ACTIVATIONS)),
        "attention_head_size": config["hidden_size"] // config["num_attention_heads"],
    }
    if config["relative_attention"]:
        sometimes |= {
            "position_buckets": 2 * draw(st.integers(1, farthest - 2)),
            "norm_rel_ebd": "layer_norm",
        }
    return {
        **config,
        "model_type": "deberta-v2",
        **{key: value for key, value in sometimes.items() if draw(st.booleans())},
    }


# One line for each model_type.
CONFIGURATIONS: Mapping[str, Callable[[], SearchStrategy[Config]]] = {
    "bert": bert,
    "deberta": deberta,
    "deberta-v2": deberta_v2,
    "modernbert": modernbert,
}


@st.composite
def cases(draw: DrawFn, family: str) -> dict[str, Any]:
    """What `torch_side.py` is asked: a configuration, a class, a seed and a padded batch."""
    config = draw(CONFIGURATIONS[family]())
    longest = longest_text(config)
    lengths = draw(st.lists(st.sampled_from([1, 2, 3, 5, longest]), min_size=1, max_size=3))
    lengths = [min(length, longest) for length in lengths]
    # More padding than the longest row needs, as far as there are positions.
    width = draw(st.integers(max(lengths), min(longest, max(lengths) + 3)))
    left = draw(st.booleans()) and family not in RIGHT_PADDING_ONLY
    # ModernBERT's first token would be padding, whose window is all padding: 5.24 and 4.57 differ.
    left = left and config.get("classifier_pooling") != "cls"
    pad = config.get("pad_token_id", 0)
    token = st.integers(0, config["vocab_size"] - 1).filter(lambda id_: id_ != pad)
    ids, mask, types = [], [], []
    for length in lengths:
        tokens = draw(st.lists(token, min_size=length, max_size=length))
        second = draw(st.integers(0, length))  # where the second text of a pair begins
        kinds = [0] * second + [min(1, config.get("type_vocab_size", 0) - 1)] * (length - second)
        padding = width - length
        ids.append([pad] * padding + tokens if left else tokens + [pad] * padding)
        mask.append([0] * padding + [1] * length if left else [1] * length + [0] * padding)
        types.append([0] * padding + kinds if left else kinds + [0] * padding)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if config.get("type_vocab_size", 0) > 0 and draw(st.booleans()):
        inputs["token_type_ids"] = types
    return {
        "config": {**config, "num_labels": LABELS},
        "kind": draw(st.sampled_from(["sequence", "token"])),
        "seed": draw(st.integers(0, 2**31)),
        "inputs": inputs,
    }


# Families whose tokenizers pad on the right and whose own code is wrong or undefined otherwise.
RIGHT_PADDING_ONLY: frozenset[str] = frozenset()


def longest_text(config: Config) -> int:
    """The most tokens that a model has positions for."""
    return int(config["max_position_embeddings"])
