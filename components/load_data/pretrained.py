"""A pretrained model's configuration and its tokenizer: checked, then opened.

Transformers never sees a configuration that has not been read here as plain JSON first: none of the
checkpoint's own code is run, and only the families in `FAMILIES` are opened. TensorFlow is not
imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# The text encoders among Transformers' TensorFlow classes for sequence classification
# (`TF_MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES`) that give PyTorch's answers from PyTorch's
# weights; tests/finetune/test_models.py holds each against a recorded one. Left out: decoders;
# FlauBERT, XLM and RoFormer, whose tokenizers are slow ones or need packages of their own;
# Longformer, which pads every row to its attention window; Funnel and XLNet, not tried; and what
# reads more than text.
FAMILIES = (
    "albert",
    "bert",
    "camembert",
    "convbert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "mobilebert",
    "mpnet",
    "rembert",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
)
_VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    # Only so that the message says what is the matter: converting these takes `sentencepiece`.
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)
TOKENIZER_FILES = (
    *_VOCABULARY_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json as plain JSON, and refuse what would be unsafe or is not supported.

    Args:
        folder: A model's folder.

    Returns:
        The configuration.

    Raises:
        InputError: If there is none, it is not JSON, it asks for code of its own to be run, its
            weights are quantized, or its family is not one of `FAMILIES`.
    """
    where = folder / "config.json"
    config = _read_json(where)
    if config is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:10])
        raise InputError(
            "the folder holds no model: there is no config.json",
            where=str(folder),
            expected="config.json, the tokenizer's files and the weights",
            remedy=f"give the model's own folder; in this one is: {there or 'nothing'}",
        )
    _refuse_own_code(config, where)
    model_type = config.get("model_type")
    if not model_type:
        raise InputError(
            "config.json does not say which family the model is of",
            where=str(where),
            expected=f"`model_type`, one of {', '.join(FAMILIES)}",
            remedy="give a folder that Transformers' `save_pretrained` wrote",
        )
    if model_type not in FAMILIES:
        raise InputError(
            f"{model_type} has no TensorFlow class that can be trained here",
            where=str(where),
            expected=f"one of {', '.join(FAMILIES)}",
            remedy="choose a model of one of these families",
        )
    if "quantization_config" in config:
        raise InputError(
            "the weights are quantized and cannot be trained",
            where=str(where),
            expected="a configuration without `quantization_config`",
            remedy="use the model that this one was quantized from",
        )
    return config


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Open a folder's fast tokenizer.

    Args:
        folder: A model's folder, or a tokenizer's alone.

    Returns:
        The tokenizer; it has a padding token.

    Raises:
        InputError: If there is no tokenizer, it asks for code of its own to be run, it is damaged,
            it is a slow one, it cannot pad, or it has ids that the model has no embedding for.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = _read_json(folder / "tokenizer_config.json") or {}
    _refuse_own_code(config, folder / "tokenizer_config.json")
    model_config = read_config(folder) if (folder / "config.json").exists() else {}
    there = [name for name in _VOCABULARY_FILES if (folder / name).is_file()]
    if not there:
        raise InputError(
            "the folder holds no tokenizer",
            where=str(folder),
            expected="tokenizer.json and tokenizer_config.json (or vocab.txt, or vocab.json with "
            "merges.txt)",
            remedy="copy the files from the model that this one was made from",
        )
    # Without either, Transformers guesses the class from the folder's name.
    if not config.get("tokenizer_class") and not model_config:
        raise InputError(
            "nothing says of which class the tokenizer is",
            where=str(folder),
            expected="`tokenizer_class` in tokenizer_config.json, or the model's config.json",
            remedy="copy the files from the model that this one was made from",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_fast=True
        )
    except Exception as error:  # the tokenizers library raises Exception itself
        if (folder / "tokenizer.json").is_file():
            raise InputError(
                f"the tokenizer cannot be opened: {first_line(error)}",
                where=str(folder),
                expected="a tokenizer.json and a tokenizer_config.json that belong together",
                remedy="download or copy them again",
            ) from None
        tokenizer = None  # what Transformers says of missing files is not for people
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(
            f"no fast tokenizer can be made from {', '.join(there)}",
            where=str(folder),
            expected="tokenizer.json",
            remedy="write it where `sentencepiece` is installed: "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
        )
    if tokenizer.pad_token_id is None:
        raise InputError(
            "the tokenizer has no padding token",
            where=str(folder),
            expected="`pad_token` in tokenizer_config.json",
            remedy='add it there, e.g. "pad_token": "[PAD]", naming a token of the vocabulary',
        )
    vocab_size = model_config.get("vocab_size")
    highest = max(tokenizer.get_vocab().values())
    if isinstance(vocab_size, int) and highest >= vocab_size:
        raise InputError(
            f"the tokenizer has ids up to {highest}, the model embeds {vocab_size} (0 to "
            f"{vocab_size - 1})",
            where=str(folder),
            expected="the tokenizer that the model was trained with",
            remedy="copy the tokenizer's files from the model that this one was made from",
        )
    return tokenizer


def _read_json(path: Path) -> dict[str, Any] | None:
    """An object from a JSON file; None if there is no file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path.name} is not a JSON object: {first_line(error)}",
            where=str(path),
            expected="the file that `save_pretrained` wrote",
            remedy="download or copy it again",
        ) from None
    return content


def _refuse_own_code(config: dict[str, Any], where: Path) -> None:
    """Refuse a checkpoint that brings Python of its own."""
    for key in ("auto_map", "trust_remote_code"):
        if config.get(key):
            raise InputError(
                f"the checkpoint asks for code of its own to be run (`{key}`)",
                where=str(where),
                expected="a model whose code is part of Transformers",
                remedy="choose such a model; code from a checkpoint is never run here",
            )


def first_line(error: BaseException) -> str:
    """What an error of a library's says, cut to fit into a message of ours."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
