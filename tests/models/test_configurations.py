"""A configuration here has the keys and defaults that Transformers has, and every key is known."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import CONFIG_MAPPING

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models import registry

MODELS = Path(transformers.__file__).parent / "models"
# Keys that PyTorch's modelling code reads and that change no logit of an encoder.
OF_NO_INFLUENCE = {
    "_attn_implementation": "which implementation computes the same attention",
    "deterministic_flash_attn": "which implementation computes the same attention",
    "initializer_cutoff_factor": "of weights that are drawn",
    "chunk_size_feed_forward": "the feed-forward halves in parts, to save memory",
    "embedding_size": "only whether BERT's and others' heads may leave a rest, which fails later",
    "is_encoder_decoder": "whether a cache of keys and values has two parts",
    "num_labels": "set by the task",
    "output_attentions": "what is returned beside the logits",
    "output_hidden_states": "what is returned beside the logits",
    "problem_type": "which loss is computed",
    "return_dict": "in which form outputs are returned",
    "use_cache": "of decoders",
}
# Of heads for other tasks.
OF_OTHER_HEADS = {
    "convbert": {
        "summary_type",
        "summary_use_proj",
        "summary_activation",
        "summary_first_dropout",
        "summary_last_dropout",
        "summary_proj_to_labels",
    },
    "deberta": {"legacy"},
    "deberta-v2": {"legacy"},
    "distilbert": {"qa_dropout"},
    "modernbert": {"decoder_bias", "sparse_prediction", "sparse_pred_ignore_index"},
    "rembert": {"output_embedding_size"},
}
OF_OTHER_HEADS["electra"] = OF_OTHER_HEADS["convbert"]
# Keys that follow from others. If they say otherwise PyTorch fails, or the weights have other
# shapes, which is refused.
COMPUTED = {
    "gte": {"head_dim"},
    "jina_embeddings_v3": {"head_dim"},
    "mobilebert": {"true_hidden_size"},
    "modernbert": {"head_dim", "sliding_window"},
}
# Keys of which null stands for another key's value, which Transformers fills in.
NULL_HERE = {"head_dim", "num_key_value_heads", "pooler_hidden_size"}


def fields_of(model_type: str) -> dict[str, Any]:
    """The keys that a family reads, with their values where config.json says nothing."""
    config = registry.read_config({"model_type": model_type}, Path("config.json"))
    fields = [field.name for field in dataclasses.fields(config) if "rule" in field.metadata]
    return {name: getattr(config, name) for name in fields}


@pytest.mark.parametrize("model_type", registry.FAMILIES)
def test_defaults_are_those_of_transformers(model_type: str) -> None:
    theirs = CONFIG_MAPPING[model_type]()
    ours = {
        key: value
        for key, value in fields_of(model_type).items()
        if hasattr(theirs, key) and not (value is None and key in NULL_HERE)
    }
    assert len(ours) > 8
    assert ours == {key: getattr(theirs, key) for key in ours}


@pytest.mark.parametrize("model_type", registry.FAMILIES)
def test_every_key_that_pytorch_reads_is_known(model_type: str) -> None:
    module = model_type.replace("-", "_")
    source = (MODELS / module / f"modeling_{module}.py").read_text(encoding="utf-8")
    read = set(re.findall(r"\bconfig\.(\w+)\b(?!\()", source))
    read |= set(re.findall(r"""[gh]\w+attr\((?:self\.)?config, ["'](\w+)["']""", source))
    names = CONFIG_MAPPING[model_type].attribute_map
    read = {names.get(key, key) for key in read}
    known = set(fields_of(model_type)) | OF_NO_INFLUENCE.keys()
    known |= OF_OTHER_HEADS.get(model_type, set()) | COMPUTED.get(model_type, set())
    assert read - known == set()
    assert len(read) > 10


UNSHARED = {"intra_bottleneck_size": 64, "key_query_shared_bottleneck": False}


@pytest.mark.parametrize(
    ("model_type", "settings", "expected"),
    [
        ("bert", {"position_embedding_type": "relative_key"}, 'position_embedding_type "absolute"'),
        ("roberta", {"position_embedding_type": "relative_key_query"}, '_type "absolute"'),
        ("electra", {"is_decoder": True}, "is_decoder false"),
        ("bert", {"pruned_heads": {"0": [1]}}, "pruned_heads {}"),
        ("bert", {"hidden_act": "laplace"}, 'hidden_act one of "gelu"'),
        ("bert", {"num_attention_heads": 5}, "num_attention_heads a divisor of 768"),
        ("distilbert", {"n_heads": 5}, "n_heads a divisor of 768"),
        ("roberta", {"pad_token_id": None}, "pad_token_id from 0"),
        ("roberta", {"pad_token_id": 511}, "pad_token_id below max_position_embeddings (512) - 1"),
        ("mpnet", {"relative_attention_num_buckets": 16}, "relative_attention_num_buckets from 32"),
        ("albert", {"num_hidden_groups": 13}, "at most num_hidden_layers (12)"),
        ("mobilebert", {"true_hidden_size": 64}, "true_hidden_size 128"),
        ("mobilebert", {"normalization_type": "rms"}, 'one of "no_norm", "layer_norm"'),
        ("mobilebert", {"use_bottleneck_attention": True}, "key_query_shared_bottleneck false"),
        ("mobilebert", UNSHARED, "intra_bottleneck_size 512"),
        ("convbert", {"conv_kernel_size": 4}, "conv_kernel_size an odd number"),
        ("convbert", {"num_groups": 5}, "num_groups a divisor of hidden_size"),
    ],
)
def test_what_is_not_computed_is_refused_by_name(
    model_type: str, settings: dict[str, Any], expected: str
) -> None:
    described = {"model_type": model_type, **settings}
    with pytest.raises(InputError, match=re.escape(next(iter(settings)))) as caught:
        registry.read_config(described, Path("config.json"))
    assert expected in caught.value.expected


def test_positions_that_start_behind_padding_are_fewer_tokens() -> None:
    tokens = {
        model_type: registry.read_config({"model_type": model_type}, Path()).max_tokens
        for model_type in ("bert", "roberta", "mpnet")
    }
    assert tokens == {"bert": 512, "roberta": 510, "mpnet": 510}


@pytest.mark.parametrize("model_type", ["deberta", "deberta-v2"])
def test_relative_positions_alone_have_no_longest_text(model_type: str) -> None:
    """As DeBERTa v2 and v3 are published."""
    for absolute, tokens in ((True, 512), (False, None)):
        described = {"model_type": model_type, "position_biased_input": absolute}
        assert registry.read_config(described, Path()).max_tokens == tokens


def test_of_two_names_of_a_key_the_one_counts_that_counts_in_transformers() -> None:
    described = {"model_type": "distilbert", "dim": 24, "hidden_size": 48}
    ours = registry.read_config(described, Path())
    assert ours.dim == CONFIG_MAPPING["distilbert"].from_dict(described).dim == 48  # type: ignore[attr-defined]


HOSTILE: list[Any] = [
    *(None, True, "x", [], {}, [1], {"a": 1}, [[1]], [{}], {"a": None}, -1, 0, 1.5, 2**70),
    *(10**400, float("inf"), float("nan"), {"rope_type": {}}, {"rope_type": ["default"]}),
    *(
        {"full_attention": [1]},
        {"full_attention": "x"},
        {"full_attention": {"rope_theta": 10**400}},
    ),
    *({"rope_type": "linear", "factor": 10**400}, {"type": [1]}),
]
# Old keys, which are translated before the rules of the fields see them.
TRANSLATED = (
    *("rope_scaling", "rope_theta", "global_attn_every_n_layers", "global_rope_theta"),
    *("local_rope_theta", "pruned_heads", "clf_pooling", "n_embd", "n_layer", "n_inner", "n_head"),
    *("activation_function", "hidden_size", "moe_every_n_layers"),
)


@pytest.mark.parametrize("model_type", registry.FAMILIES)
def test_no_value_of_a_key_raises_anything_but_wrong_input(model_type: str) -> None:
    refused = 0
    for key in (*fields_of(model_type), *TRANSLATED):
        for value in HOSTILE:
            described = {"model_type": model_type, key: value}
            try:
                config = registry.read_config(described, Path())
            except InputError:
                refused += 1
                continue
            value = getattr(config, key, 0.0)
            assert not isinstance(value, float) or abs(value) < 1e39
            assert not isinstance(value, int) or abs(value) < 2**71
            for number in ("rope", "max_tokens", "fixed_ids", "head_dropout"):
                getattr(config, number, None)
            config.old_keys()
    assert refused > 100
