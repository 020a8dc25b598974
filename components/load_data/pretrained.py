"""A pretrained model's configuration and its tokenizer: checked, then opened.

Transformers never sees a configuration that has not been read here as plain JSON first: none of the
checkpoint's own code is run, and only the families in `FAMILIES` are opened. TensorFlow is not
imported.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.unpacking import new_folder
from kfp_finetune.components.model_folder.arithmetic import check_arithmetic, takes_token_types
from kfp_finetune.components.model_folder.files import first_line, read_json
from kfp_finetune.components.model_folder.sizes import OPTIONAL, check_config
from kfp_finetune.components.model_folder.tokenizer_files import copy_known, safe_copy

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


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json as plain JSON, and refuse what would be unsafe or is not supported.

    Args:
        folder: A model's folder.

    Returns:
        The configuration.

    Raises:
        InputError: If there is none, it is not JSON, it asks for code of its own to be run or
            refers to other configurations, its weights are quantized, its family is not one of
            `FAMILIES`, its sizes are none, or it computes what is not computed here.
    """
    where = folder / "config.json"
    config = read_json(folder, where.name)
    if config is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:10])
        raise InputError(
            "the folder holds no model: there is no config.json",
            where=str(folder),
            expected="config.json, the tokenizer's files and the weights",
            remedy=f"give the model's own folder; in this one is: {there or 'nothing'}",
        )
    _refuse_own_code(config, where)
    if "configuration_files" in config:
        raise InputError(
            "config.json refers to other configurations (`configuration_files`)",
            where=str(where),
            expected="one configuration, in config.json",
            remedy="put the configuration that you want in the place of config.json",
        )
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
    config = {key: v for key, v in config.items() if v is not None or key not in OPTIONAL}
    check_config(config, where)
    check_arithmetic(config, where)
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

    config = read_json(folder, "tokenizer_config.json") or {}
    _refuse_own_code(config, folder / "tokenizer_config.json")
    model_config = read_config(folder) if (folder / "config.json").exists() else {}
    copy = new_folder()
    there = safe_copy(folder, copy)
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
            copy, local_files_only=True, trust_remote_code=False, use_fast=True
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
        raise _not_fast(config.get("tokenizer_class") or type(tokenizer).__name__, there, folder)
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
    _fit(tokenizer, model_config)
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Save a tokenizer: the known files under their known names, and nothing else.

    Args:
        tokenizer: A tokenizer from `load_tokenizer`.
        path: The folder; made if it is not there.
    """
    written = new_folder()
    tokenizer.chat_template = None
    tokenizer.save_pretrained(written)
    path.mkdir(parents=True, exist_ok=True)
    copy_known(written, path)
    shutil.rmtree(written)


def _not_fast(name: str, there: list[str], folder: Path) -> InputError:
    """What is said of a tokenizer that is a slow one."""
    import transformers

    fast = name.removesuffix("Fast") + "Fast"
    if hasattr(transformers, name) and not hasattr(transformers, fast):
        return InputError(
            f"the model needs a fast tokenizer, and Transformers has none for {name}",
            where=str(folder),
            expected="a model with a tokenizer.json",
            remedy="choose one that has it, e.g. --model FacebookAI/xlm-roberta-base, which reads"
            " 100 languages",
        )
    return InputError(
        f"no fast tokenizer can be made from {', '.join(there)}",
        where=str(folder),
        expected="tokenizer.json",
        remedy="write it where `sentencepiece` is installed: "
        "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
    )


def _fit(tokenizer: PreTrainedTokenizerFast, model_config: dict[str, Any]) -> None:
    """Let a tokenizer give what its model takes, and replace a length that none can have."""
    if model_config and not takes_token_types(model_config):
        names = tokenizer.model_input_names
        tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]
    if not is_length(tokenizer.model_max_length, tokenizer):
        tokenizer.model_max_length = int(1e30)  # as Transformers writes that there is no limit


def is_length(value: Any, tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether a value can be the most tokens that a model takes."""
    smallest = tokenizer.num_special_tokens_to_add(pair=True) + 1
    return isinstance(value, int | float) and value is not True and value >= smallest


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
