"""Build tokenizers for folders whose only vocabulary is a SentencePiece model.

Transformers' converters build the tokenizer, as in Transformers 4.57. The `sentencepiece` library
is not needed: the file is a protocol buffer, and Transformers has its schema. Transformers 5 itself
builds it in another way, which drops parts of the model: DeBERTa's table of characters to
normalize, ALBERT's runs of spaces, RemBERT's [CLS] and [SEP].
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import first_line
from kfp_finetune.components.model_folder.panics import panics_as
from kfp_finetune.components.model_folder.tokenizer_settings import TokenizerSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# About twice the largest published model, XLM-V with 0.9 million pieces. The `tokenizers` library
# takes up to 350 bytes of memory per character.
_MOST_BYTES = 32 << 20
_MOST_PIECES = 2_000_000
_MOST_CHARACTERS = 12_000_000
_LONGEST_PIECE = 256
_UNIGRAM, _BPE = 1, 2  # TrainerSpec.ModelType
# The name of the file, by class.
FILES = {
    "AlbertTokenizer": "spiece.model",
    "CamembertTokenizer": "sentencepiece.bpe.model",
    "DebertaV2Tokenizer": "spm.model",
    "RemBertTokenizer": "sentencepiece.model",
    "XLMRobertaTokenizer": "sentencepiece.bpe.model",
}
_MASK = {"content": "[MASK]", "lstrip": True, "normalized": True}
# The defaults of Transformers 4.57, by class, including the flags of special tokens. Others are the
# same in Transformers 5.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "AlbertTokenizer": {"mask_token": _MASK | {"normalized": False}},
    "CamembertTokenizer": {
        "mask_token": _MASK | {"content": "<mask>", "normalized": False},
        "extra_special_tokens": ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
    },
    "DebertaV2Tokenizer": {"unk_token": {"content": "[UNK]", "normalized": True}},
    "RemBertTokenizer": {"mask_token": _MASK, "pad_token": "[PAD]", "unk_token": "[UNK]"},
    "XLMRobertaTokenizer": {"mask_token": _MASK | {"content": "<mask>", "normalized": False}},
}


def with_defaults(settings: TokenizerSettings, name: str) -> TokenizerSettings:
    """Complete a tokenizer's settings with the defaults of Transformers 4.57.

    Args:
        settings: The settings in the folder.
        name: The class, one of `FILES`.
    """
    defaults = _DEFAULTS[name]

    def flagged(said: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: {**defaults[key], "content": value}
            if isinstance(value, str) and isinstance(defaults.get(key), dict)
            else value
            for key, value in said.items()
        }

    keys = {**defaults, **flagged(settings.keys)}
    return dataclasses.replace(settings, keys=keys, tokens=flagged(settings.tokens))


def convert(path: Path, name: str, settings: Mapping[str, Any]) -> Tokenizer:
    """Build a tokenizer from a SentencePiece model.

    Args:
        path: The file.
        name: The class, one of `FILES`.
        settings: The class's settings, such as `do_lower_case`.

    Returns:
        The tokenizer, without the special tokens that are not in the model.

    Raises:
        InputError: If the file is too large or damaged, or a token that begins or ends texts is
            missing.
    """
    from transformers import convert_slow_tokenizer

    proto = _read(path)
    # Not by the class's __init__, which would read the file again.
    made_by = convert_slow_tokenizer.SLOW_TO_FAST_CONVERTERS[name]
    converter = made_by.__new__(made_by)
    vocabulary = converter.vocab(proto)
    ids = {piece: index for index, (piece, _) in enumerate(vocabulary)}

    def id_of(token: str) -> int:
        if token not in ids:
            raise ValueError(f"it has no {token}")
        return ids[token]

    converter.proto = proto
    converter.SpmExtractor = _Merges
    converter.original_tokenizer = types.SimpleNamespace(
        **{k: settings.get(k) for k in ("do_lower_case", "keep_accents", "split_by_punct")},
        vocab_file=None,
        convert_tokens_to_ids=id_of,
    )
    try:
        with panics_as(ValueError):
            made: Tokenizer = converter.converted()
    except Exception as error:  # the tokenizers library raises Exception itself
        raise _damaged(path, error) from None
    return made


class _Merges:
    """Replaces the class that gets a BPE model's merges from the `sentencepiece` library."""

    def __init__(self, path: object) -> None:
        pass

    def extract(self, vocabulary: list[tuple[str, float]]) -> tuple[dict[str, int], list[Any]]:
        from transformers.tokenization_utils_base import generate_merges

        ids = {piece: index for index, (piece, _) in enumerate(vocabulary)}
        return ids, generate_merges(ids, dict(vocabulary))


def _read(path: Path) -> Any:
    """Read a file as a ModelProto, and check it."""
    from transformers.convert_slow_tokenizer import import_protobuf

    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MB")
        proto = import_protobuf().ModelProto()
        proto.ParseFromString(content)
        pieces = proto.pieces
        if not 0 < len(pieces) <= _MOST_PIECES:
            raise ValueError(f"it has {len(pieces)} pieces")
        if (kind := proto.trainer_spec.model_type) not in (_UNIGRAM, _BPE):
            raise ValueError(f"its model type is {kind}, neither unigram (1) nor BPE (2)")
        seen = set()
        for number, piece in enumerate(pieces):
            text, score = piece.piece, piece.score
            if not 0 < len(text) <= _LONGEST_PIECE or not math.isfinite(score) or text in seen:
                raise ValueError(
                    f"piece {number} is empty, repeated, longer than {_LONGEST_PIECE} characters"
                    " or has no finite score"
                )
            seen.add(text)
        if (characters := sum(map(len, seen))) > _MOST_CHARACTERS:
            raise ValueError(f"its pieces have {characters:,} characters")
        if not 0 <= proto.trainer_spec.unk_id < len(pieces):
            raise ValueError(f"its unknown piece has number {proto.trainer_spec.unk_id}")
    except Exception as error:  # protobuf's DecodeError is no ValueError
        raise _damaged(path, error) from None
    return proto


def _damaged(path: Path, error: object) -> InputError:
    return InputError(
        f"{path.name} is not a SentencePiece model for this tokenizer: {first_line(error)}",
        where=str(path),
        expected="the file that the model was published with",
        remedy="download or copy it again, or choose a model with a tokenizer.json",
    )
