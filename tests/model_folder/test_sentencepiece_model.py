"""SentencePiece models become the tokenizers that Transformers makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.pretrained import load_tokenizer, save_tokenizer
from kfp_finetune.components.model_folder import fast_tokenizer, sentencepiece_model
from kfp_finetune.components.model_folder.panics import cannot_tokenize, panics_as
from kfp_finetune.components.model_folder.tokenizer_settings import read_settings
from tests.model_folder import sentencepiece_models as small


class Recorded(NamedTuple):
    family: str
    settings: dict[str, Any]
    singles: list[list[int]]  # of small.TEXTS
    pair: list[int]  # of small.TEXTS[0] and [3]
    types: list[int] | None  # the pair's token types; None if the model takes none
    pad: int
    mask: int


# The results of `AutoTokenizer.from_pretrained` for these folders in Transformers 4.57.6 with
# sentencepiece 0.2.3. Transformers 5.24 gives the same for XLM-RoBERTa and CamemBERT; it drops the
# table of characters to normalize for DeBERTa, joins spaces and scores "2," differently for ALBERT,
# and adds no [CLS] and [SEP] for RemBERT.
RECORDED = {
    "deberta-v2": Recorded(
        "deberta-v2",
        {},
        [
            [1, 7, 8, 9, 17, 2],
            [1, 30, 10, 11, 2],
            [1, 6, 18, 6, 28, 6, 27, 19, 24, 2],
            [1, 6, 16, 14, 15, 12, 2],
            [1, 6, 20, 33, 6, 21, 6, 3, 20, 3, 6, 22, 2],
            [1, 2],
            [1, 4, 7, 5, 6, 32, 32, 21, 20, 23, 3, 2],
        ],
        [1, 7, 8, 9, 17, 2, 6, 16, 14, 15, 12, 2],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        0,
        33,
    ),
    "deberta-v2, lower": Recorded(
        "deberta-v2",
        {"do_lower_case": True, "split_by_punct": True},
        [
            [1, 7, 8, 9, 6, 17, 2],
            [1, 7, 10, 11, 2],
            [1, 6, 18, 6, 3, 6, 27, 19, 24, 2],
            [1, 12, 6, 15, 6, 14, 6, 15, 12, 2],
            [1, 6, 20, 33, 6, 21, 6, 6, 3, 6, 3, 20, 3, 6, 3, 6, 22, 2],
            [1, 2],
            [1, 4, 7, 5, 6, 32, 6, 32, 10, 6, 3, 6, 3, 2],
        ],
        [1, 7, 8, 9, 6, 17, 2, 12, 6, 15, 6, 14, 6, 15, 12, 2],
        [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        0,
        33,
    ),
    "albert": Recorded(
        "albert",
        {},
        [
            [2, 8, 9, 10, 18, 3],
            [2, 8, 11, 12, 7, 3],
            [2, 7, 19, 7, 21, 7, 28, 25, 25, 3],
            [2, 13, 16, 15, 16, 13, 3],
            [2, 7, 21, 4, 7, 22, 7, 1, 21, 1, 7, 23, 3],
            [2, 3],
            [2, 5, 8, 6, 7, 32, 22, 21, 24, 32, 3],
        ],
        [2, 8, 9, 10, 18, 3, 13, 16, 15, 16, 13, 3],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        0,
        4,
    ),
    "albert, cased": Recorded(
        "albert",
        {"do_lower_case": False, "keep_accents": True},
        [
            [2, 8, 9, 10, 18, 3],
            [2, 31, 11, 12, 7, 3],
            [2, 7, 19, 7, 29, 7, 28, 20, 25, 3],
            [2, 13, 16, 15, 16, 13, 3],
            [2, 7, 21, 4, 7, 22, 7, 1, 21, 1, 7, 23, 3],
            [2, 3],
            [2, 5, 8, 6, 7, 32, 22, 21, 24, 32, 3],
        ],
        [2, 8, 9, 10, 18, 3, 13, 16, 15, 16, 13, 3],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        0,
        4,
    ),
    "rembert": Recorded(
        "rembert",
        {},
        [
            [2, 8, 9, 10, 18, 3],
            [2, 31, 11, 12, 7, 3],
            [2, 7, 19, 7, 29, 7, 28, 20, 25, 3],
            [2, 7, 17, 15, 16, 13, 3],
            [2, 7, 21, 4, 7, 22, 7, 1, 21, 1, 7, 23, 3],
            [2, 3],
            [2, 5, 8, 6, 7, 32, 22, 21, 24, 32, 3],
        ],
        [2, 8, 9, 10, 18, 3, 7, 17, 15, 16, 13, 3],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        0,
        4,
    ),
    "xlm-roberta": Recorded(
        "xlm-roberta",
        {},
        [
            [0, 7, 8, 9, 17, 2],
            [0, 30, 10, 11, 2],
            [0, 6, 18, 6, 28, 6, 27, 19, 24, 2],
            [0, 6, 16, 14, 15, 12, 2],
            [0, 6, 20, 6, 3, 28, 3, 21, 33, 6, 22, 2],
            [0, 2],
            [0, 4, 7, 5, 6, 32, 32, 21, 20, 23, 3, 2],
        ],
        [0, 7, 8, 9, 17, 2, 2, 6, 16, 14, 15, 12, 2],
        None,
        1,
        33,
    ),
    "camembert": Recorded(
        "camembert",
        {},
        [
            [5, 10, 11, 12, 20, 6],
            [5, 33, 13, 14, 6],
            [5, 9, 21, 9, 31, 9, 30, 22, 27, 6],
            [5, 9, 19, 17, 18, 15, 6],
            [5, 9, 23, 9, 3, 31, 3, 24, 36, 9, 25, 6],
            [5, 6],
            [5, 7, 10, 8, 9, 35, 35, 24, 23, 26, 3, 6],
        ],
        [5, 10, 11, 12, 20, 6, 6, 9, 19, 17, 18, 15, 6],
        None,
        1,
        36,
    ),
}


def opened(folder: Path, family: str) -> Any:
    """The tokenizer of a folder that has no whole config.json."""
    settings = read_settings(folder)
    name = fast_tokenizer.class_of(settings, family)
    return fast_tokenizer.open_tokenizer(fast_tokenizer.vocabulary_files(folder), settings, name)


def alone(folder: Path, family: str = "deberta-v2", proto: Any = None) -> Path:
    """A tokenizer's folder, without the model."""
    names = {"deberta-v2": "DebertaV2Tokenizer", "xlm-roberta": "XLMRobertaTokenizer"}
    small.write(folder, family, proto, tokenizer_class=names[family])
    (folder / "config.json").unlink()
    return folder


@pytest.mark.parametrize("recorded", [pytest.param(r, id=name) for name, r in RECORDED.items()])
def test_the_same_ids_as_transformers(recorded: Recorded, tmp_path: Path) -> None:
    small.write(tmp_path / "a", recorded.family, **recorded.settings)
    tokenizer = opened(tmp_path / "a", recorded.family)
    save_tokenizer(tokenizer, tmp_path / "saved")
    for each in (tokenizer, opened(tmp_path / "saved", recorded.family)):
        assert each(small.TEXTS)["input_ids"] == recorded.singles
        pair = each(small.TEXTS[0], small.TEXTS[3])
        assert pair["input_ids"] == recorded.pair
        assert pair.get("token_type_ids") == recorded.types
        assert (each.pad_token_id, each.mask_token_id) == (recorded.pad, recorded.mask)
    files = {path.name for path in (tmp_path / "saved").iterdir()}
    assert files == {"tokenizer.json", "tokenizer_config.json"}


def test_bytes_become_unknown_tokens_as_in_transformers(tmp_path: Path) -> None:
    """The converters ignore the byte fallback, as in the published tokenizer.json files."""
    proto = small.model("deberta-v2")
    proto.trainer_spec.byte_fallback = True
    for byte in b"xyz":
        proto.pieces.add(piece=f"<0x{byte:02X}>", score=0, type=6)
    tokenizer = load_tokenizer(alone(tmp_path, proto=proto))
    assert tokenizer("x")["input_ids"] == [1, 6, 3, 2]


def test_pair_merges(tmp_path: Path) -> None:
    """A BPE model: the merges follow from the scores."""
    proto = small.model("xlm-roberta")
    proto.trainer_spec.model_type = 2
    for number, piece in enumerate(("go", "od", "good", "\u2581g")):
        proto.pieces.add(piece=piece, score=-number, type=1)
    del proto.pieces[6]  # "\u2581good" as a whole
    tokenizer = load_tokenizer(alone(tmp_path, "xlm-roberta", proto))
    assert tokenizer.tokenize("good") == ["\u2581", "good"]


def test_tokenizer_json_comes_first(tmp_path: Path) -> None:
    small.write(tmp_path / "a", "albert")
    save_tokenizer(opened(tmp_path / "a", "albert"), tmp_path / "a")
    (tmp_path / "a" / "spiece.model").write_bytes(b"damaged")
    assert opened(tmp_path / "a", "albert")("good")["input_ids"] == [2, 8, 3]


def changed(change: Callable[[Any], Any]) -> Any:
    proto = small.model("deberta-v2")
    change(proto)
    return proto


def repeat(proto: Any) -> None:
    proto.pieces[9].piece = proto.pieces[8].piece


def without_cls(proto: Any) -> None:
    proto.pieces[1].piece = "[ABC]"


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (b"", "it has 0 pieces"),
        (b"\xff" * 64, "Error parsing message"),
        (small.model("deberta-v2").SerializeToString()[:-3], "Error parsing message"),
        (changed(lambda p: p.pieces[9].__setattr__("score", math.nan)), "piece 9 is empty, rep"),
        (changed(lambda p: p.pieces[9].__setattr__("score", -math.inf)), "piece 9 is empty, rep"),
        (changed(lambda p: p.pieces[9].__setattr__("piece", "")), "piece 9 is empty, repeated"),
        (changed(lambda p: p.pieces[9].__setattr__("piece", "a" * 257)), "piece 9 is empty, rep"),
        (changed(repeat), "piece 9 is empty, repeated, longer than 256 characters"),
        (changed(without_cls), "it has no [CLS]"),
        (changed(lambda p: p.trainer_spec.__setattr__("unk_id", -1)), "its unknown piece has num"),
        (changed(lambda p: p.trainer_spec.__setattr__("unk_id", 99)), "its unknown piece has num"),
        (
            changed(lambda p: p.trainer_spec.__setattr__("model_type", 3)),
            "its model type is 3, neither unigram (1) nor BPE (2)",
        ),
        (changed(lambda p: p.normalizer_spec.__setattr__("precompiled_charsmap", b"abc")), ""),
    ],
)
def test_a_model_that_does_not_fit_together_is_refused(
    proto: Any, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        load_tokenizer(alone(tmp_path, proto=proto))
    start = "spm.model is not a SentencePiece model for this tokenizer: "
    assert caught.value.found.startswith(start + reason)
    assert caught.value.where == str(tmp_path / "spm.model")
    assert "download or copy it again" in caught.value.remedy


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("_MOST_BYTES", "it is larger than 0 MB"),
        ("_MOST_PIECES", "it has 33 pieces"),
        ("_MOST_CHARACTERS", "its pieces have 72 characters"),
    ],
)
def test_absurd_sizes_are_refused(
    limit: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentencepiece_model, limit, 32)
    with pytest.raises(InputError, match=reason):
        load_tokenizer(alone(tmp_path))


def test_a_table_of_characters_that_panics_becomes_a_message(tmp_path: Path) -> None:
    """Its trie points into the texts that replace characters, and these are cut off."""
    proto = small.model("deberta-v2")
    trie = int.from_bytes(small.CHARSMAP[:4], "little")
    proto.normalizer_spec.precompiled_charsmap = small.CHARSMAP[: 4 + trie]
    tokenizer = load_tokenizer(alone(tmp_path, proto=proto))
    with (
        pytest.raises(InputError, match="the tokenizer fails on a text"),
        panics_as(cannot_tokenize),
    ):
        for text in small.TEXTS:
            tokenizer(text)
