"""Tokenizers give Transformers' ids, and what is saved gives ours in both of its versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder import fast_tokenizer
from kfp_finetune.components.model_folder.tokenizer_files import save
from kfp_finetune.components.model_folder.tokenizer_settings import read_settings
from tests.model_folder import tokenizer_folders as kinds

SIDE = Path(__file__).with_name("transformers_side.py")
KINDS = kinds.SAME | kinds.AS_IN_4
# A folder with Transformers 4.57 for the same Python.
TRANSFORMERS_4 = os.environ.get("TRANSFORMERS_4")
# Where a text with a mask token is, alone or in a pair.
AT_MASK = [i + j for i, text in enumerate(kinds.TEXTS) for j in (-1, 0) if "<mask>" in text]
VERSIONS = [
    pytest.param(5, id="5"),
    pytest.param(
        4,
        id="4.57",
        marks=pytest.mark.skipif(not TRANSFORMERS_4, reason="TRANSFORMERS_4 is not set"),
    ),
]


def opened(folder: Path, model_type: str) -> PreTrainedTokenizerFast:
    settings = read_settings(folder)
    name = fast_tokenizer.class_of(settings, model_type)
    tokenizer = fast_tokenizer.open_tokenizer(
        fast_tokenizer.vocabulary_files(folder), settings, name
    )
    assert tokenizer is not None
    return tokenizer


def answers(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "singles": tokenizer(kinds.TEXTS)["input_ids"],
        "pairs": tokenizer(kinds.TEXTS[1:], kinds.TEXTS[:-1])["input_ids"],
        "pad": tokenizer.pad_token_id,
        "length": int(min(tokenizer.model_max_length, 10**6)),
        "inputs": sorted(tokenizer.model_input_names),
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of every kind, and beside it one that was saved here."""
    root: Path = tmp_path_factory.mktemp("tokenizers")
    (root / "texts.json").write_text(json.dumps(kinds.TEXTS), encoding="utf-8")
    for name, write in KINDS.items():
        tokenizer = opened(root / name, write(root / name))
        (root / "saved" / name).mkdir(parents=True)
        save(tokenizer, root / "saved" / name)
        (root / "saved" / name / "config.json").write_bytes(
            (root / name / "config.json").read_bytes()
        )
    return root


@pytest.fixture(scope="module")
def ours(folders: Path) -> dict[str, dict[str, Any]]:
    types = {name: json.loads((folders / name / "config.json").read_text()) for name in KINDS}
    return {name: answers(opened(folders / name, types[name]["model_type"])) for name in KINDS}


@pytest.fixture(scope="module")
def ask(folders: Path) -> Callable[[int], dict[str, Any]]:
    """The result of a version of Transformers for all of these folders; computed once."""
    said: dict[int, dict[str, Any]] = {}

    def run(version: int) -> dict[str, Any]:
        if version not in said:
            path = {"PYTHONPATH": str(TRANSFORMERS_4)} if version == 4 else {}
            paths = [str(folders / part / name) for part in ("", "saved") for name in KINDS]
            done = subprocess.run(
                [sys.executable, str(SIDE), str(folders / "texts.json"), *paths],
                env=os.environ | path,
                capture_output=True,
                text=True,
                check=True,
            )
            said[version] = json.loads(done.stdout.splitlines()[-1])
        return said[version]

    return run


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KINDS)
def test_the_same_ids_as_transformers(
    name: str, version: int, folders: Path, ours: Any, ask: Any
) -> None:
    theirs, mine = dict(ask(version)[str(folders / name)]), dict(ours[name])
    if version == 5 and name in kinds.AS_IN_4:
        assert theirs["singles"] != mine["singles"]  # built anew, without tokenizer.json's parts
        return
    if version == 5 and "deberta" in name:
        theirs.pop("pairs"), mine.pop("pairs")  # it writes [SEP] twice between the texts
    if version == 5:
        # It no longer lists token types for tokenizers of no particular class.
        theirs.pop("inputs"), mine.pop("inputs")
    if version == 4 and name.startswith(("roberta vocabulary", "deberta vocabulary")):
        for part in ("singles", "pairs"):  # there the mask token takes the space before it
            for answer in (theirs, mine):
                answer[part] = [ids for i, ids in enumerate(answer[part]) if i not in AT_MASK]
    assert theirs == mine


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KINDS)
def test_a_saved_tokenizer_gives_the_same_ids(
    name: str, version: int, folders: Path, ours: Any, ask: Any
) -> None:
    assert ask(version)[str(folders / "saved" / name)] == ours[name]


@pytest.mark.parametrize("name", KINDS)
def test_a_saved_tokenizer_reopens_unchanged(name: str, folders: Path, ours: Any) -> None:
    saved = folders / "saved" / name
    again = opened(saved, json.loads((saved / "config.json").read_text())["model_type"])
    assert answers(again) == ours[name]
    files = {"tokenizer.json", "tokenizer_config.json", "config.json"}
    assert {path.name for path in saved.iterdir()} == files


@pytest.mark.parametrize(
    "settings",
    [
        {"unk_token": 3},
        {"pad_token": {"content": "[PAD]", "run": "it"}},
        {"cls_token": {"content": ["[CLS]"]}},
        {"do_lower_case": "yes"},
        {"padding_side": "up"},
        {"model_input_names": "input_ids"},
        {"additional_special_tokens": [3]},
        {"extra_special_tokens": "a"},
        {"added_tokens_decoder": {"x": {"content": "a"}}},
        {"added_tokens_decoder": ["a"]},
    ],
)
def test_a_key_with_a_value_that_it_cannot_have(settings: dict[str, Any], tmp_path: Path) -> None:
    kinds.write(tmp_path / "model", "bert", kinds.word_piece(), settings=settings)
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path / "model")
    (key,) = settings
    assert caught.value.found.startswith(f"{key} is ")


def test_unknown_keys_reach_nothing(tmp_path: Path) -> None:
    """Of a key that nobody knows, and of those that stand for files, nothing is left."""
    unknown = {"vocab_file": "/etc/passwd", "mine": 1, "gguf_file": "a", "backend": "mistral"}
    unknown |= {"tokenizer_object": {}, "__class__": "a", "init_inputs": ["a"], "from_slow": True}
    model_type = kinds.write(tmp_path / "a", "bert", kinds.word_piece(), settings=unknown)
    tokenizer = opened(tmp_path / "a", model_type)
    assert not unknown.keys() - {"backend"} & tokenizer.init_kwargs.keys()
    assert tokenizer.init_kwargs["backend"] == "tokenizers"
