"""Sizes that a configuration declares, against the weights: before anything is allocated."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models import registry
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.configurations.config import Config
from kfp_finetune.components.models.deferred import deferred_variables
from kfp_finetune.components.models.names import weights_of
from kfp_finetune.components.models.sizes import check_against_weights
from tests.checkpoints import write_checkpoint
from tests.models.loaded import load

# Differences from the defaults, which are the sizes of each family's first published checkpoint, in
# google/mobilebert-uncased and albert/albert-base-v2, the latter without num_hidden_groups.
PUBLISHED: dict[str, dict[str, Any]] = {
    "mobilebert": {"num_hidden_layers": 24, "intra_bottleneck_size": 128, "embedding_size": 128},
    "albert": {"hidden_size": 768, "intermediate_size": 3_072, "num_attention_heads": 12},
}


def config_of(folder: Path, **changes: Any) -> Config:
    file = folder / "config.json"
    described = json.loads(file.read_text()) | changes
    described = {key: value for key, value in described.items() if value is not None}
    file.write_text(json.dumps(described))
    return registry.read_config(described, file)


def write_sparse(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Write a safetensors file whose zeros take no room on the disk."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}  # type: ignore[dict-item]
    content = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(content)) + content)
        file.truncate(8 + len(content) + end)


@pytest.mark.parametrize("model_type", sorted(registry.FAMILIES))
def test_weights_of_published_sizes_fit(model_type: str, tmp_path: Path) -> None:
    """Bottlenecks and shared layers make far fewer weights than widths and layers suggest."""
    described = {"model_type": model_type, **PUBLISHED.get(model_type, {})}
    (tmp_path / "config.json").write_text(json.dumps(described))
    config = config_of(tmp_path)
    with pytest.raises(KeyboardInterrupt), deferred_variables():
        model = Classifier(
            registry.family(model_type),
            config,
            num_labels=2,
            problem_type="single_label_classification",
        )
        shapes = {weight.name: weight.shape for weight in weights_of(model)}
        raise KeyboardInterrupt  # nothing is allocated
    write_sparse(tmp_path, shapes)
    check_against_weights(config, tmp_path)


@pytest.mark.parametrize(
    ("family", "changes", "found"),
    [
        ("bert", {"num_hidden_layers": 999}, "999 layers, but the weights have 2"),
        ("modernbert", {"num_hidden_layers": 999, "layer_types": None}, "999 layers"),
        (
            "nomic_bert",
            {"n_layer": 999, "num_hidden_layers": None},
            "999 layers, but the weights have 2",
        ),
        ("bert", {"vocab_size": 10**9}, "vocab_size 1,000,000,000"),
        ("bert", {"hidden_size": 10**6}, "hidden_size 1,000,000"),
        (
            "nomic_bert",
            {"n_inner": 10**9, "intermediate_size": None},
            "intermediate_size 1,000,000,000",
        ),
    ],
)
def test_sizes_that_the_weights_do_not_have(
    family: str, changes: dict[str, Any], found: str, tmp_path: Path
) -> None:
    """Found from the header alone, without TensorFlow."""
    write_checkpoint(tmp_path, family)
    check_against_weights(config_of(tmp_path), tmp_path)
    with pytest.raises(InputError) as caught:
        check_against_weights(config_of(tmp_path, **changes), tmp_path)
    assert found in caught.value.found


@pytest.mark.parametrize(
    ("family", "changes", "found"),
    [
        ("bert", {"type_vocab_size": 2**31 - 1}, "token_type_embeddings"),
        ("bert", {"max_position_embeddings": 2**31 - 1, "embedding_size": 1}, "position_embedd"),
        ("nomic_bert", {"head_dim": 2**30}, "self_attn.q_proj"),
        ("eurobert", {"head_dim": 2**30}, "self_attn.q_proj"),
        ("mpnet", {"relative_attention_num_buckets": 2**31 - 1}, "relative_attention_bias"),
        ("convbert", {"conv_kernel_size": 2**31 - 1}, "conv"),
    ],
)
def test_no_shape_is_allocated_that_the_weights_do_not_have(
    family: str, changes: dict[str, Any], found: str, tmp_path: Path
) -> None:
    """Each of these would take more memory than there is."""
    config_of(write_checkpoint(tmp_path, family), **changes)
    with pytest.raises(
        InputError, match=r"of the encoder's .* weights do not have the shape that"
    ) as caught:
        load(tmp_path)
    assert found in caught.value.found


def test_a_refused_model_leaves_no_variables_to_allocate(tmp_path: Path) -> None:
    """Keras allocates pending variables when the next scope ends."""
    config_of(write_checkpoint(tmp_path / "1", "bert"), type_vocab_size=2**31 - 1)
    with pytest.raises(InputError):
        load(tmp_path / "1")
    load(write_checkpoint(tmp_path / "2", "bert"))


def test_numbers_of_layers_are_limited_together() -> None:
    for model_type, changes in {
        "mobilebert": {"num_hidden_layers": 100, "num_feedforward_networks": 100},
        "albert": {"num_hidden_layers": 100, "num_hidden_groups": 100, "inner_group_num": 100},
        "nomic_bert": {"n_layer": 10**9},
        "modernbert": {"num_hidden_layers": 10**9},
    }.items():
        with pytest.raises(InputError) as caught:
            registry.read_config({"model_type": model_type, **changes}, Path())
        assert "to 1,000" in caught.value.expected


def test_a_model_beyond_memory(tiny_model: Path, tmp_path: Path) -> None:
    """There are no weights to compare with: this one is drawn at random."""
    described = json.loads((tiny_model / "config.json").read_text()) | {"vocab_size": 2**31 - 1}
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(
        InputError, match=r"the model needs about .* GB of memory, but this machine has"
    ):
        load(tmp_path)
