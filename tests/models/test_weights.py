"""A checkpoint that is damaged, incomplete or of a wrong kind is refused with one clear message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kfp_finetune.components.errors import InputError
from tests.checkpoints import record, write_checkpoint, write_config, write_weights
from tests.models.loaded import load

SAFETENSORS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = "model-00002-of-00003.safetensors"


def no_weights(folder: Path) -> None:
    (folder / SAFETENSORS).unlink()


def only_a_pickle(folder: Path) -> None:
    (folder / SAFETENSORS).rename(folder / "pytorch_model.bin")


def only_an_adapter(folder: Path) -> None:
    (folder / SAFETENSORS).rename(folder / "adapter_model.safetensors")


def no_format(folder: Path) -> None:
    save_file(load_file(folder / SAFETENSORS), folder / SAFETENSORS)


def unknown_format(folder: Path) -> None:
    save_file(load_file(folder / SAFETENSORS), folder / SAFETENSORS, metadata={"format": "flax"})


def cut_short(folder: Path) -> None:
    content = (folder / SAFETENSORS).read_bytes()
    (folder / SAFETENSORS).write_bytes(content[: len(content) // 2])


def empty(folder: Path) -> None:
    (folder / SAFETENSORS).write_bytes(b"")


def a_git_lfs_pointer(folder: Path) -> None:
    (folder / SAFETENSORS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def layers_left_out(folder: Path) -> None:
    tensors = load_file(folder / SAFETENSORS)
    write_weights(folder, {name: t for name, t in tensors.items() if ".layer.1." not in name})


def of_another_family(folder: Path) -> None:
    write_checkpoint(folder, "roberta")
    write_config(folder, record("bert")["classifier"]["config"])


def of_another_size(folder: Path) -> None:
    write_config(folder, record("bert")["classifier"]["config"] | {"intermediate_size": 32})


def quantized(folder: Path) -> None:
    tensors = load_file(folder / SAFETENSORS)
    write_weights(folder, {name: (t * 100).astype(np.int8) for name, t in tensors.items()})


def not_a_number(folder: Path) -> None:
    tensors = load_file(folder / SAFETENSORS)
    tensors["bert.encoder.layer.1.output.dense.weight"][3, 4] = np.nan
    write_weights(folder, tensors)


def impossible_configuration(folder: Path) -> None:
    write_config(folder, record("bert")["classifier"]["config"] | {"num_attention_heads": 3})


def sharded(folder: Path) -> None:
    (folder / SAFETENSORS).unlink()
    write_checkpoint(folder, "bert", "classifier", 3)


def a_shard_missing(folder: Path) -> None:
    sharded(folder)
    (folder / SHARD).unlink()


def a_shard_cut_short(folder: Path) -> None:
    sharded(folder)
    (folder / SHARD).write_bytes((folder / SHARD).read_bytes()[:-1])


def a_shard_left_out_of_the_index(folder: Path) -> None:
    sharded(folder)
    index = json.loads((folder / INDEX).read_text())
    weight_map = {name: file for name, file in index["weight_map"].items() if file != SHARD}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def an_index_that_is_not_json(folder: Path) -> None:
    sharded(folder)
    (folder / INDEX).write_text("{")


def an_index_that_leaves_the_folder(folder: Path) -> None:
    sharded(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))


EXPECTED = {
    no_weights: (
        "the folder has no weights; it contains: config.json",
        "{folder}",
        "model.safetensors, or model.safetensors.index.json with its shards",
        "download or copy the whole model again",
    ),
    only_a_pickle: (
        "the weights are pickled (pytorch_model.bin), and pickle files are never loaded",
        "{folder}",
        "model.safetensors, or model.safetensors.index.json with its shards",
        "import BertForSequenceClassification as M",
    ),
    only_an_adapter: (
        "the folder has no weights; it contains: adapter_model.safetensors, config.json",
        "{folder}",
        "model.safetensors",
        "",
    ),
    no_format: (
        "the metadata give the format of the weights as nothing",
        "{folder}/model.safetensors",
        '"format": "pt" or "tf" in the safetensors metadata',
        '`save_file(..., metadata={"format": "pt"})` if it is PyTorch\'s',
    ),
    unknown_format: (
        "the metadata give the format of the weights as flax",
        "{folder}/model.safetensors",
        '"format": "pt" or "tf" in the safetensors metadata',
        "save the model again with Transformers' `save_pretrained`",
    ),
    cut_short: (
        "the file is damaged: ",
        "{folder}/model.safetensors",
        "a complete safetensors file",
        "download or copy it again",
    ),
    empty: ("the file is damaged: ", "{folder}/model.safetensors", "", "download or copy it again"),
    a_git_lfs_pointer: (
        "the file is a Git LFS pointer, not the weights",
        "{folder}/model.safetensors",
        "",
        "run `git lfs pull` in the folder",
    ),
    layers_left_out: (
        "config.json does not match the weights: 2 layers, but the weights have 1",
        "{folder}/config.json",
        "the configuration that was saved with these weights",
        "download or copy the whole model again, config.json and weights together",
    ),
    of_another_family: (
        "37 of the encoder's 37 weights are missing: bert.embeddings.LayerNorm.bias, ",
        "{folder}",
        "the weights of the bert that config.json describes",
        "download or copy the whole model again",
    ),
    of_another_size: (
        "6 of the encoder's 37 weights do not have the shape that config.json gives: "
        "bert.encoder.layer.0.intermediate.dense.weight: [24, 16] instead of [32, 16], "
        "bert.encoder.layer.0.intermediate.dense.bias: [24] instead of [32], ",
        "{folder}",
        "the weights of the bert that config.json describes",
        "download or copy the whole model again",
    ),
    quantized: (
        "the weights are quantized: bert.",
        "{folder}",
        "float32, float16 or bfloat16",
        "use the model that this one was quantized from",
    ),
    not_a_number: (
        "the weights are damaged: bert.encoder.layer.1.output.dense.weight contains NaN",
        "{folder}",
        "finite numbers",
        "it was saved after its training had diverged",
    ),
    impossible_configuration: (
        "the model uses unsupported settings: num_attention_heads 3",
        "{folder}/config.json",
        "num_attention_heads a divisor of 16",
        "choose another model",
    ),
    a_shard_missing: (
        f"1 of 3 shards are missing: {SHARD}",
        "{folder}",
        "every file that model.safetensors.index.json names",
        "download or copy the missing files",
    ),
    a_shard_cut_short: ("the file is damaged: ", f"{{folder}}/{SHARD}", "", "download or copy"),
    a_shard_left_out_of_the_index: (
        "config.json does not match the weights: vocab_size 40, ",
        "{folder}/config.json",
        "the configuration that was saved with these weights",
        "",
    ),
    an_index_that_is_not_json: ("the file is damaged: ", f"{{folder}}/{INDEX}", "", "download"),
    an_index_that_leaves_the_folder: (
        "the file is damaged: it names files outside the folder",
        f"{{folder}}/{INDEX}",
        "",
        "download or copy it again",
    ),
}


@pytest.mark.parametrize("damage", EXPECTED, ids=lambda damage: damage.__name__)
def test_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    damage(write_checkpoint(tmp_path, "bert"))
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    found, where, expected, remedy = EXPECTED[damage]
    assert found in caught.value.found
    assert caught.value.where == where.format(folder=tmp_path)
    assert expected in caught.value.expected and caught.value.expected
    assert remedy in caught.value.remedy and caught.value.remedy
    assert not re.search("Traceback|\n", caught.value.found)
