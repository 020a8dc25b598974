"""Hostile model folders: looked at is the file system, before and after."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import fingerprints
from kfp_finetune.components.load_data.pretrained import (
    load_tokenizer,
    read_config,
    save_tokenizer,
)
from kfp_finetune.components.model_folder.weight_files import open_weights, weight_files
from kfp_finetune.components.tasks.token_classification.windows import WordTokenizer
from kfp_finetune.components.tasks.tokenization import TextTokenizer
from tests.commands import call

CONTENT = "zqj-do-not-read-me"


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    (tmp_path / "elsewhere.txt").write_text(f"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{CONTENT}\n")
    (tmp_path / "data.csv").write_text("text,label\n" + "good parcel,a\nbad card,b\n" * 20)
    return Path(shutil.copytree(tiny_model, tmp_path / "here" / "model"))


def change(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | changes))


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def templates_by_name(name: str) -> Iterator[Any]:
    yield {"default": "x", name: "{{ 1 }}"}
    yield [{"name": "default", "template": "x"}, {"name": name, "template": "{{ 1 }}"}]


@pytest.mark.parametrize("where", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("name", ["../../../../evil", "/evil/a", "a/b", "..\\evil", "..", ""])
def test_a_template_named_by_a_path_is_refused(where: str, name: str, model: Path) -> None:
    for templates in templates_by_name(name):
        change(model / where, chat_template=templates)
        with pytest.raises(InputError, match="the name of a chat template is a path"):
            load_tokenizer(model)


def test_only_known_files_are_written_of_a_tokenizer(model: Path, tmp_path: Path) -> None:
    """Also of names that are harmless, from wherever Transformers takes templates."""
    change(model / "tokenizer_config.json", chat_template={"default": "x", "tool_use": "y"})
    (model / "chat_template.jinja").write_text("{{ 1 }}")
    (model / "additional_chat_templates").mkdir()
    (model / "additional_chat_templates" / "more.jinja").write_text("{{ 1 }}")
    before = files_below(tmp_path)
    save_tokenizer(load_tokenizer(model), tmp_path / "saved")
    after = files_below(tmp_path)
    names = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}
    assert after.keys() - before.keys() <= {f"saved/{name}" for name in names}
    assert "saved/tokenizer.json" in after and before.items() <= after.items()


def test_the_command_writes_nothing_outside(model: Path, tmp_path: Path) -> None:
    change(model / "tokenizer_config.json", chat_template={"../" * 12 + f"{tmp_path}/evil": "x"})
    before = files_below(tmp_path)
    done = call(tmp_path / "here", "check", str(tmp_path / "data.csv"), "--model", "model")
    assert done.returncode == 2 and "chat template" in done.stderr
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("where", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(
    "change_to",
    [
        lambda path: {"vocab_file": path},
        lambda path: {"tokenizer_file": path},
        lambda path: {"fast_tokenizer_files": [f"../{path}/tokenizer.4.0.json"]},
        lambda path: {"gguf_file": path},
        lambda path: {"init_inputs": [path]},
        lambda path: {"merges_file": path},
        lambda path: {"extra_special_tokens": {"vocab_file": path}},
    ],
)
def test_no_other_file_becomes_the_vocabulary(
    change_to: Callable[[str], dict[str, Any]], where: str, model: Path, tmp_path: Path
) -> None:
    """With tokenizer.json and without, when the vocabulary is made from vocab.txt."""
    for _ in range(2):
        content = json.loads((model / where).read_text())
        content.pop("added_tokens_decoder", None)  # else special_tokens_map.json is not read
        (model / where).write_text(json.dumps(content | change_to(f"{tmp_path}/elsewhere.txt")))
        tokenizer = load_tokenizer(model)
        assert "parcel" in tokenizer.get_vocab() and CONTENT not in tokenizer.get_vocab()
        save_tokenizer(tokenizer, tmp_path / "saved")
        saved = b"".join(files_below(tmp_path / "saved").values())
        assert CONTENT.encode() not in saved and b"elsewhere" not in saved
        (model / "tokenizer.json").unlink(missing_ok=True)


def described(file: Path, **parts: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


def test_merges_that_are_longer_than_any_token(model: Path) -> None:
    """tokenizers#2094: the library panics, and a panic is no `Exception`."""
    vocabulary = {"aaaa": 0, "bbbb": 1}
    described(
        model / "tokenizer.json",
        model={"type": "BPE", "vocab": vocabulary, "merges": [["aaaa", "bbbb"]]},
    )
    with pytest.raises(InputError, match="the tokenizer cannot be opened: range end index"):
        load_tokenizer(model)


@pytest.mark.parametrize("words", [False, True])
def test_a_regular_expression_that_never_ends(words: bool, model: Path) -> None:
    """tokenizers#2060: the library gives up on the text, and panics."""
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Removed"}
    described(model / "tokenizer.json", pre_tokenizer=split | {"invert": False}, normalizer=None)
    tokenizer, text = load_tokenizer(model), "a" * 40 + "b"
    tokenize = WordTokenizer(tokenizer, 8) if words else TextTokenizer(tokenizer, 8)
    with pytest.raises(InputError, match="the tokenizer fails on a text: Onig"):
        tokenize.encode([[[text]]] if words else [[text]])


@pytest.mark.parametrize(
    "name", ["vocab.txt", "tokenizer.json", "config.json", "added_tokens.json"]
)
def test_links_out_of_the_folder_are_refused(name: str, model: Path, tmp_path: Path) -> None:
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(InputError) as caught:
        load_tokenizer(model)
    assert caught.value.found == f"{name} is a link to a file outside the model's folder"


def test_links_within_the_folder_and_the_hubs_cache_are_followed(
    model: Path, tmp_path: Path
) -> None:
    cached = tmp_path / "models--a--b"
    snapshot = cached / "snapshots" / "0123"
    shutil.copytree(model, cached / "blobs")
    snapshot.mkdir(parents=True)
    for file in (cached / "blobs").iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    (snapshot / "link").symlink_to("config.json")
    assert "parcel" in load_tokenizer(snapshot).get_vocab()


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "vocab.txt"])
def test_a_pipe_is_refused_at_once(name: str, model: Path) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    with pytest.raises(InputError, match=f"{name} is not a regular file"):
        load_tokenizer(model)


def test_the_fingerprint_covers_the_files_that_are_read(model: Path) -> None:
    """A link to the whole disk is not walked through, and every file that is read counts."""
    (model / "disk").symlink_to("/")
    before = fingerprints.of_model({"model": str(model)})
    assert before
    for name in ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "config.json"):
        content = (model / name).read_text()
        (model / name).write_text(content + "\n")
        assert fingerprints.of_model({"model": str(model)}) != before
        (model / name).write_text(content)
    assert fingerprints.of_model({"model": str(model)}) == before


# --- config.json ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"configuration_files": ["config.4.0.0.json"]}, "refers to other configurations"),
        ({"num_attention_heads": 0}, "num_attention_heads 0"),
        ({"num_attention_heads": 17}, "num_attention_heads 17"),
        ({"num_hidden_layers": 100_000}, "num_hidden_layers 100000"),
        ({"hidden_size": -1}, "hidden_size -1"),
        ({"hidden_size": 16.0}, "hidden_size 16.0"),
        ({"vocab_size": "15"}, "vocab_size '15'"),
        ({"vocab_size": True}, "vocab_size True"),
        ({"vocab_size": 2**31}, "vocab_size 2147483648"),
        ({"layer_norm_eps": 10**400}, "layer_norm_eps 1000"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps inf"),
        ({"initializer_range": float("nan")}, "initializer_range nan"),
        ({"id2label": ["a", "b"]}, r"id2label is \['a', 'b'\]"),
        ({"id2label": {"a": "0"}}, "id2label is {'a': '0'}"),
        ({"id2label": {"9" * 5_000: "a"}}, "id2label is {'999"),
    ],
)
def test_a_configuration_of_impossible_sizes(
    changes: dict[str, Any], found: str, model: Path
) -> None:
    change(model / "config.json", **changes)
    with pytest.raises(InputError, match=found):
        read_config(model)


def test_more_heads_than_the_width_are_refused_with_the_limit(model: Path) -> None:
    change(model / "config.json", num_attention_heads=64, hidden_size=32)
    with pytest.raises(InputError) as caught:
        read_config(model)
    assert caught.value.expected == "num_attention_heads a divisor of 32"


def test_a_size_that_is_null_is_as_if_it_were_not_there(model: Path) -> None:
    before = read_config(model)
    absent = dict.fromkeys(("embedding_size", "inner_group_num"))
    change(model / "config.json", **absent)
    assert read_config(model) == before
    change(model / "config.json", hidden_size=None)
    with pytest.raises(InputError, match="hidden_size None"):
        read_config(model)


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "added_tokens.json"])
def test_deep_nesting(depth: int, name: str, model: Path) -> None:
    (model / name).write_text('{"a":' * depth + "1" + "}" * depth)
    with pytest.raises(InputError, match=f"{name} is not a JSON object: it is nested too deeply"):
        load_tokenizer(model)


# --- weights -------------------------------------------------------------------------------------


def test_hdf5_is_not_parsed(tmp_path: Path) -> None:
    """HDF5 1.14, the newest that TensorFlow 2.21 allows, has known memory errors in its parser."""
    (tmp_path / "tf_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\xff" * 4_000)
    with pytest.raises(InputError) as caught:
        weight_files(tmp_path)
    assert caught.value.found.startswith("the weights are tf_model.h5, and HDF5 is not supported")
    assert f"M.from_pretrained('{tmp_path}')" in caught.value.remedy
    save_file({"a": np.zeros(1)}, tmp_path / "model.safetensors")
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]


def test_weights_behind_a_link_are_refused(tmp_path: Path) -> None:
    save_file({"a": np.zeros(1)}, tmp_path / "elsewhere")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link to a file outside the model's folder"):
        weight_files(tmp_path / "model")


def test_an_unreadable_file_and_impossible_names_are_reported(tmp_path: Path) -> None:
    long = "cannot be looked up: File name too long"
    for name, found in [("x" * 300, long), ("a\0b", "1 of 1 shards are missing")]:
        index = {"weight_map": {"a": name}}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(InputError, match=found):
            weight_files(tmp_path)
    # Opening a folder fails as opening an unreadable file does, for root too.
    with pytest.raises(InputError, match="the file is damaged"), open_weights([tmp_path]):
        pass


def test_ids_of_added_tokens_have_a_limit(model: Path) -> None:
    change(model / "tokenizer_config.json", added_tokens_decoder={"9" * 5_000: {"content": "z"}})
    with pytest.raises(InputError, match="added_tokens_decoder is"):
        load_tokenizer(model)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_a_vocabulary_has_a_limit(name: str, model: Path) -> None:
    if name == "vocab.txt":
        (model / "tokenizer.json").unlink()
    with (model / name).open("ab") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(InputError, match=f"{name} is larger than 64 MB"):
        load_tokenizer(model)


def test_ids_that_the_model_does_not_have_are_refused(model: Path) -> None:
    """A tokenizer.json adds special tokens by ids and types of its own."""
    described = json.loads((model / "tokenizer.json").read_text())
    first = {"SpecialToken": {"id": "[CLS]", "type_id": 7}}
    texts = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    for ids, pairs, found in [
        ([9_999], False, "token id 9999"),
        ([2**31 + 5], False, "token id 2147483653"),
        ([2], True, "token type id 7"),
    ]:
        token = {"id": "[CLS]", "ids": ids, "tokens": ["[CLS]"]}
        template = {"type": "TemplateProcessing", "special_tokens": {"[CLS]": token}}
        template |= {"single": [first, texts[0]], "pair": [first, *texts]}
        (model / "tokenizer.json").write_text(json.dumps(described | {"post_processor": template}))
        tokenizer = load_tokenizer(model)
        tokenize = TextTokenizer(tokenizer, 8, pairs=pairs)
        with pytest.raises(InputError, match=found):
            tokenize.tokens(tokenize.encode([["good parcel"]] * (1 + pairs)))
        if not pairs:
            words = WordTokenizer(tokenizer, 8)
            with pytest.raises(InputError, match=found):
                words.examples(words.encode([[["good", "parcel"]]]), [], [])
