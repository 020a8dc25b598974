"""Random tiny configurations of every family, and random batches for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from kfp_finetune.components.models.configurations.rules import ACTIVATIONS
from tests.models.parity.modern import eurobert, modernbert, rotary_bert

LABELS = 3
Config = dict[str, Any]


@st.composite
def bert(draw: DrawFn) -> Config:
    """The settings that BERT and its descendants share."""
    heads = draw(st.integers(1, 4))
    return {
        "model_type": "bert",
        "vocab_size": draw(st.integers(12, 60)),
        # Not 2: the norm of two numbers is a sign, and its rounding error knows no bound near 0.
        "hidden_size": heads * draw(st.sampled_from([4, 6, 8])),
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


@st.composite
def roberta(draw: DrawFn, model_type: str = "roberta") -> Config:
    """BERT's; positions start behind the padding's."""
    config = {**draw(bert()), "model_type": model_type, "pad_token_id": draw(st.integers(0, 5))}
    return {**config, "max_position_embeddings": draw(st.integers(9, 24))}


@st.composite
def electra(draw: DrawFn) -> Config:
    """BERT's; embeddings as wide as the rest have no projection."""
    config = {**draw(bert()), "model_type": "electra"}
    sizes = st.sampled_from([3, 8, config["hidden_size"]])
    return {**config, "embedding_size": draw(sizes)}


@st.composite
def distilbert(draw: DrawFn) -> Config:
    """BERT's by other names."""
    config = draw(bert())
    names = {
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
    }
    config = {names.get(key, key): value for key, value in config.items()}
    del config["type_vocab_size"], config["layer_norm_eps"]
    return {**config, "model_type": "distilbert", "sinusoidal_pos_embds": draw(st.booleans())}


@st.composite
def mpnet(draw: DrawFn) -> Config:
    """BERT's without token types; texts long enough for every bucket of distances."""
    config = {**draw(bert()), "model_type": "mpnet", "pad_token_id": draw(st.sampled_from([1, 0]))}
    del config["type_vocab_size"]
    return {
        **config,
        "max_position_embeddings": draw(st.sampled_from([9, 20, 45, 160])),
        "relative_attention_num_buckets": draw(st.sampled_from([32, 40])),
    }


@st.composite
def albert(draw: DrawFn) -> Config:
    """BERT's with groups of layers."""
    layers = draw(st.integers(1, 5))
    groups = draw(st.integers(1, layers))
    config = {**draw(bert()), "model_type": "albert", "num_hidden_layers": layers}
    return {
        **config,
        "embedding_size": draw(st.sampled_from([3, 8, config["hidden_size"]])),
        "num_hidden_groups": groups,
        # Transformers 4.57 fails where a group has more layers than there are passes through it.
        "inner_group_num": draw(st.integers(1, min(2, layers // groups))),
    }


@st.composite
def rembert(draw: DrawFn) -> Config:
    """BERT's with projected embeddings."""
    config = {**draw(bert()), "model_type": "rembert"}
    sizes = st.sampled_from([3, 8, config["hidden_size"]])
    return {**config, "input_embedding_size": draw(sizes), "output_embedding_size": 5}


@st.composite
def mobilebert(draw: DrawFn) -> Config:
    """BERT's between bottlenecks of every kind that there is."""
    config = {**draw(bert()), "model_type": "mobilebert"}
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    bottleneck, narrow = draw(st.booleans()), draw(st.booleans())
    shared = draw(st.booleans()) and not (bottleneck and narrow)
    wide = not shared and not narrow
    return {
        **config,
        "embedding_size": draw(st.sampled_from([hidden + 1, 3])),
        "trigram_input": draw(st.booleans()),
        "use_bottleneck": bottleneck,
        "intra_bottleneck_size": hidden if wide else heads * draw(st.sampled_from([1, 4])),
        "use_bottleneck_attention": narrow,
        "key_query_shared_bottleneck": shared,
        "num_feedforward_networks": draw(st.integers(1, 3)),
        "normalization_type": draw(st.sampled_from(["no_norm", "layer_norm"])),
        "classifier_activation": draw(st.booleans()),
    }


@st.composite
def convbert(draw: DrawFn) -> Config:
    """BERT's, of which convolutions replace some heads."""
    config = {**draw(bert()), "model_type": "convbert"}
    heads, groups = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    hidden = 2 * heads * draw(st.sampled_from([2, 3, 4]))
    return {
        **config,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "embedding_size": draw(st.sampled_from([3, 8, hidden])),
        "head_ratio": draw(st.sampled_from([1, heads, 9])),
        "conv_kernel_size": draw(st.sampled_from([1, 3, 5, 9])),
        "num_groups": groups,
        "intermediate_size": groups * config["intermediate_size"],
    }


# One line for each model_type.
CONFIGURATIONS: Mapping[str, Callable[[], SearchStrategy[Config]]] = {
    "albert": albert,
    "bert": bert,
    "camembert": lambda: roberta("camembert"),
    "convbert": convbert,
    "deberta": deberta,
    "deberta-v2": deberta_v2,
    "distilbert": distilbert,
    "electra": electra,
    "mobilebert": mobilebert,
    "mpnet": mpnet,
    "rembert": rembert,
    "roberta": roberta,
    "roberta-prelayernorm": lambda: roberta("roberta-prelayernorm"),
    "xlm-roberta": lambda: roberta("xlm-roberta"),
    "eurobert": eurobert,
    "gte": lambda: rotary_bert("gte"),
    "jina_embeddings_v3": lambda: rotary_bert("jina_embeddings_v3"),
    "modernbert": modernbert,
    "nomic_bert": lambda: rotary_bert("nomic_bert"),
}


@st.composite
def cases(draw: DrawFn, family: str) -> dict[str, Any]:
    """The input of `torch_side.py`: a configuration, a class, a seed and a padded batch."""
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
    positions = int(config["max_position_embeddings"])
    if not config.get("position_biased_input", True):  # DeBERTa's relative positions have no end
        return 3 * positions
    if config["model_type"] == "mpnet":
        return positions - 2
    counted_after_padding = ("camembert", "roberta", "roberta-prelayernorm", "xlm-roberta")
    after = config["model_type"] in counted_after_padding
    return positions - (config["pad_token_id"] + 1 if after else 0)


def families_of(request: pytest.FixtureRequest) -> list[str]:
    """The families that this session tests in the requesting module (`-k` selects some)."""
    items = [item for item in request.session.items if item.path == request.path]
    specs = [item.callspec for item in items if hasattr(item, "callspec")]
    return sorted({spec.params["family"] for spec in specs})


def drawn(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """Examples drawn by hypothesis from PARITY_SEED; the first is the smallest."""
    examples: list[Any] = []

    @seed(int(os.environ.get("PARITY_SEED", "0")))
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Any) -> None:
        examples.append(example)

    collect()
    return examples
