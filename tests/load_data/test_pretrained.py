"""A model's folder is found, and what is wrong with it is said before Transformers opens it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.model_location import resolve
from kfp_finetune.components.load_data.pretrained import (
    FAMILIES,
    load_tokenizer,
    longest,
    read_config,
    save_tokenizer,
)
from kfp_finetune.components.models import registry
from kfp_finetune.components.tasks.tokenization import check_max_length


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value != "-"}))


def refusal(function: Any, *arguments: Any, **named: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        function(*arguments, **named)
    assert caught.value.where and caught.value.expected and caught.value.remedy
    assert "\n" not in caught.value.found
    return caught.value


# --- resolve -------------------------------------------------------------------------------------


def test_a_local_folder_is_taken_as_it_is(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve(str(tiny_model), None, weights=True) == tiny_model
    monkeypatch.chdir(tiny_model.parent)
    assert resolve(tiny_model.name, None, weights=True) == Path(tiny_model.name)
    monkeypatch.setenv("HOME", str(tiny_model.parent))
    assert resolve(f"~/{tiny_model.name}", None, weights=True) == tiny_model


@pytest.mark.parametrize("path", ["/no/such", "./no", "../no", "~/no/such", "no/such/", "", " "])
def test_a_path_to_nothing_is_not_taken_for_a_hub_id(path: str) -> None:
    error = refusal(resolve, path, None, weights=False)
    assert error.found == "there is no such folder"
    assert error.where == f"model: {path}"
    assert error.expected == "a local folder, or a Hub id such as google-bert/bert-base-uncased"
    assert error.remedy == f"check the path, which is relative to {Path.cwd()}"


def test_a_local_folder_has_no_revisions(tiny_model: Path) -> None:
    error = refusal(resolve, str(tiny_model), "v2", weights=False)
    assert error.found == "a local folder has no revisions"
    assert error.where == f"model: {tiny_model}, revision: v2"


def test_a_file_is_not_a_folder(tiny_model: Path) -> None:
    error = refusal(resolve, str(tiny_model / "config.json"), None, weights=False)
    assert error.found == "the model is a file, not a folder"
    assert error.where == f"model: {tiny_model / 'config.json'}"
    assert error.remedy == f"--model {tiny_model}"


def test_offline_is_reported(tmp_path: Path) -> None:
    error = refusal(resolve, "someone/some-model", None, weights=True)
    assert error.found == (
        "there is no such folder, and the model cannot be downloaded: access to the Hub"
        " is switched off by HF_HUB_OFFLINE"
    )
    assert error.where == "model: someone/some-model"
    assert "unset HF_HUB_OFFLINE" in error.remedy
    assert "hf download someone/some-model" in error.remedy


# --- read_config ---------------------------------------------------------------------------------


def test_the_configuration_is_plain_json(tiny_model: Path) -> None:
    assert read_config(tiny_model).model_type == "bert"
    assert read_config(tiny_model).described["initialize_from_config"] is True


def test_a_folder_without_a_model_is_refused_with_its_contents(tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    error = refusal(read_config, tmp_path)
    assert error.found == "the folder has no model: there is no config.json"
    assert error.where == str(tmp_path)
    assert error.remedy == "name the folder of the model; this one contains: train.csv"


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_configuration_that_is_not_a_json_object(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    error = refusal(read_config, tmp_path)
    assert error.found.startswith("config.json is not a JSON object: ")
    assert error.where == str(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"model_type": "-"}, "config.json does not name the model's family"),
        ({"model_type": "gpt2"}, "gpt2 is not a supported model family"),
        ({"model_type": ["bert"]}, "['bert'] is not a supported model family"),
        (
            {"model_type": "mine", "auto_map": {"AutoModel": "modeling.Mine"}},
            "mine is not a supported model family (its own code, `auto_map`, is never run)",
        ),
        (
            {"quantization_config": {"bits": 4}},
            "the weights are quantized and cannot be trained",
        ),
    ],
)
def test_unsafe_and_unsupported_folders_are_refused(
    changes: dict[str, Any], found: str, model: Path
) -> None:
    change(model / "config.json", **changes)
    for function in (read_config, load_tokenizer):
        error = refusal(function, model)
        assert error.found == found
        assert error.where == str(model / "config.json")
        if "model_type" in changes:
            assert ", ".join(FAMILIES) in error.expected


def test_own_code_of_a_known_family_is_ignored(model: Path, tmp_path: Path) -> None:
    """Registered families do not need it; it is not run, not followed and not saved."""
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\n"
    for name in ("modeling_mine", "tokenization_mine", "configuration_mine"):
        (model / f"{name}.py").write_text(code)
    expected = load_tokenizer(model)("late money back")
    own = {"trust_remote_code": True, "custom_pipelines": {"mine": {"impl": "modeling_mine.A"}}}
    change(model / "config.json", auto_map={"AutoModel": "modeling_mine.A"}, **own)
    change(
        model / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["tokenization_mine.Slow", "tokenization_mine.Fast"]},
        tokenizer_class="MineTokenizerFast",
        **own,
    )
    assert read_config(model).model_type == "bert"
    tokenizer = load_tokenizer(model)
    assert tokenizer("late money back") == expected
    save_tokenizer(tokenizer, tmp_path / "saved")
    saved = "".join(path.read_text() for path in (tmp_path / "saved").iterdir())
    assert "_mine" not in saved and "MineTokenizer" not in saved and "trust" not in saved
    assert not ran.exists()


# --- load_tokenizer ------------------------------------------------------------------------------


def test_a_fast_tokenizer_is_opened(model: Path) -> None:
    tokenizer = load_tokenizer(model)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    assert tokenizer("good parcel")["input_ids"] == [2, 5, 7, 3]
    (model / "config.json").unlink()  # a tokenizer's folder, without the model
    assert load_tokenizer(model).get_vocab() == tokenizer.get_vocab()


def test_a_bare_vocabulary_is_enough(model: Path) -> None:
    expected = load_tokenizer(model)("late money back")
    for file in model.glob("*token*.json"):
        file.unlink()
    assert sorted(path.name for path in model.iterdir()) == ["config.json", "vocab.txt"]
    assert load_tokenizer(model)("late money back") == expected


def without_files(model: Path) -> None:
    for file in [*model.glob("*token*.json"), model / "vocab.txt"]:
        file.unlink()


def without_a_class(model: Path) -> None:
    (model / "config.json").unlink()
    (model / "tokenizer_config.json").unlink()


def with_another_familys_files(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    change(model / "tokenizer_config.json", tokenizer_class="RobertaTokenizer")


def damaged(model: Path) -> None:
    (model / "tokenizer.json").write_text("{")


def of_a_later_version(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"version": "9.0"}')


def sentencepiece_only(model: Path) -> None:
    without_files(model)
    (model / "spiece.model").write_bytes(b"")
    change(model / "config.json", tokenizer_class="T5Tokenizer")


def damaged_sentencepiece(model: Path) -> None:
    without_files(model)
    (model / "spm.model").write_bytes(b"")
    change(model / "config.json", tokenizer_class="DebertaV2Tokenizer")


def slow(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    change(model / "tokenizer_config.json", tokenizer_class="ByT5Tokenizer")


def without_padding(model: Path) -> None:
    (model / "special_tokens_map.json").unlink()
    change(
        model / "tokenizer_config.json", pad_token=None, tokenizer_class="PreTrainedTokenizerFast"
    )


def with_too_many_tokens(model: Path) -> None:
    change(model / "config.json", vocab_size=10)


def with_own_code(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    change(
        model / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["mine.Slow", "mine.Fast"]},
        tokenizer_class="MineTokenizer",
    )


def with_a_broken_configuration(model: Path) -> None:
    (model / "tokenizer_config.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "found", "remedy"),
    [
        (without_files, "the folder has no tokenizer", "copy the files from the model that"),
        (without_a_class, "the class of the tokenizer is not given", "copy the files from"),
        (
            with_another_familys_files,
            "no fast tokenizer can be made from vocab.txt",
            "convert it where `sentencepiece` is installed: "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
        ),
        (damaged, "the tokenizer cannot be opened: EOF while parsing", "download or copy them"),
        (of_a_later_version, "the tokenizer cannot be opened: Unknown tokenizer version '9.0'", ""),
        (sentencepiece_only, "no fast tokenizer can be made from spiece.model", "`sentencepiece`"),
        (damaged_sentencepiece, "spm.model is not a SentencePiece model for this", "download or"),
        (
            slow,
            "the model needs a fast tokenizer, and Transformers has none for ByT5Tokenizer",
            "choose a model that has one, e.g. --model FacebookAI/xlm-roberta-base",
        ),
        (without_padding, "the tokenizer has no padding token", '"pad_token": "[PAD]"'),
        (
            with_too_many_tokens,
            "the tokenizer has ids up to 14, but the model embeds 10 (0 to 9)",
            "copy the tokenizer's files from the model that this one was made from",
        ),
        (
            with_own_code,
            "no fast tokenizer can be made from vocab.txt without the checkpoint's own code"
            " (`auto_map`), which is never run",
            "choose a model with a tokenizer.json",
        ),
        (with_a_broken_configuration, "tokenizer_config.json is not a JSON object: ", "again"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_is_refused(
    damage: Any, found: str, remedy: str, model: Path
) -> None:
    damage(model)
    error = refusal(load_tokenizer, model)
    assert error.found.startswith(found)
    assert remedy in error.remedy
    assert error.where.startswith(str(model))


def test_tensorflow_is_not_imported(model: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from kfp_finetune.components.load_data.pretrained import load_tokenizer\n"
        "assert not {'transformers', 'huggingface_hub'} & sys.modules.keys()\n"
        "load_tokenizer(Path(sys.argv[1]))\n"
        "assert not {'tensorflow', 'keras', 'torch'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, str(model)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")  # nothing of PyTorch, which is not needed


@pytest.mark.real
def test_a_real_tokenizer(shared: Path) -> None:
    tokenizer = load_tokenizer(shared / "models" / "all-MiniLM-L6-v2")
    assert tokenizer("hello world")["input_ids"] == [101, 7592, 2088, 102]


def test_a_model_without_a_table_of_positions_takes_texts_of_any_length(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.model_max_length = int(1e30)
    described = {"model_type": "deberta-v2", "position_biased_input": False}
    most = longest(registry.read_config(described, Path()), tokenizer)
    assert most is None
    check_max_length(100_000, most, tokenizer)
    assert refusal(check_max_length, 2, most, tokenizer).expected == "at least 4 tokens"
