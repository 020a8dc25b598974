"""Check and open a pretrained model's configuration and tokenizer.

Configurations are read and checked here as plain JSON, and Transformers never opens the folder
itself: the checkpoint's own code is never run, and only registered families are opened. TensorFlow
is not imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder import fast_tokenizer, sentencepiece_model
from kfp_finetune.components.model_folder.config_file import read_config_file
from kfp_finetune.components.model_folder.files import find, first_line
from kfp_finetune.components.model_folder.panics import panics_as
from kfp_finetune.components.model_folder.tokenizer_files import save
from kfp_finetune.components.model_folder.tokenizer_settings import read_settings
from kfp_finetune.components.models import registry
from kfp_finetune.components.models.configurations.config import Config
from kfp_finetune.components.tasks.tokenization import highest_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FAMILIES = registry.FAMILIES
_NO_LIMIT = int(1e30)  # as Transformers writes a `model_max_length`


def read_config(folder: Path) -> Config:
    """Read config.json, and refuse a model that is unsafe or not supported.

    Args:
        folder: A model's folder.

    Returns:
        The family's configuration.

    Raises:
        InputError: If it is missing or not JSON, refers to other configurations, has quantized
            weights, a family that is not in `FAMILIES` or invalid sizes, or describes a computation
            that is not implemented.
    """
    described = read_config_file(folder, FAMILIES)
    return registry.read_config(described, folder / "config.json")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Open a folder's fast tokenizer.

    Args:
        folder: A model's folder, or one with only a tokenizer.

    Returns:
        The tokenizer, which has a padding token.

    Raises:
        InputError: If there is no fast tokenizer, or it is damaged, cannot pad, or has ids for
            which the model has no embedding.
    """
    settings = read_settings(folder)
    model = read_config(folder) if find(folder, "config.json") else None
    files = fast_tokenizer.vocabulary_files(folder)
    if not files:
        raise InputError(
            "the folder has no tokenizer",
            where=str(folder),
            expected="tokenizer.json and tokenizer_config.json (or vocab.txt, or vocab.json with "
            "merges.txt, or a SentencePiece model such as spm.model)",
            remedy="copy the files from the model that this one was made from",
        )
    name = fast_tokenizer.class_of(settings, model.model_type if model else "")
    if not name and not model:
        raise InputError(
            "the class of the tokenizer is not given",
            where=str(folder),
            expected="`tokenizer_class` in tokenizer_config.json, or the model's config.json",
            remedy="copy the files from the model that this one was made from",
        )
    if fast_tokenizer.is_slow(name):
        raise _not_fast(name, folder)
    tokenizer = None
    try:
        with panics_as(ValueError):
            tokenizer = fast_tokenizer.open_tokenizer(files, settings, name)
    except InputError:
        raise
    except Exception as error:  # the tokenizers library raises Exception itself
        if "tokenizer.json" in files:
            raise InputError(
                f"the tokenizer cannot be opened: {first_line(error)}",
                where=str(folder),
                expected="a tokenizer.json and a tokenizer_config.json that belong together",
                remedy="download or copy them again",
            ) from None
    if tokenizer is None:
        raise _not_made(list(files), folder, name, own_code=settings.own_code)
    if tokenizer.pad_token_id is None:
        raise InputError(
            "the tokenizer has no padding token",
            where=str(folder),
            expected="`pad_token` in tokenizer_config.json",
            remedy='add it there, e.g. "pad_token": "[PAD]", naming a token of the vocabulary',
        )
    if model is not None:
        _check_ids(tokenizer, model.vocab_size, folder)
        if not model.takes_token_types:
            names = tokenizer.model_input_names
            tokenizer.model_input_names = [n for n in names if n != "token_type_ids"]
    if not is_length(tokenizer.model_max_length, tokenizer):
        tokenizer.model_max_length = _NO_LIMIT
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Save a tokenizer: the known files under their known names, and nothing else.

    Args:
        tokenizer: A tokenizer from `load_tokenizer`.
        path: The folder; created if it does not exist.
    """
    path.mkdir(parents=True, exist_ok=True)
    save(tokenizer, path)


def is_length(value: Any, tokenizer: PreTrainedTokenizerFast) -> bool:
    """Return True if a value is a valid maximum number of tokens."""
    smallest = tokenizer.num_special_tokens_to_add(pair=True) + 1
    return isinstance(value, int | float) and value is not True and value >= smallest


def longest(config: Config, tokenizer: PreTrainedTokenizerFast) -> int | None:
    """The maximum number of tokens that a model can process.

    Args:
        config: The model's configuration.
        tokenizer: Its tokenizer.

    Returns:
        The lower of the model's and the tokenizer's limits; None if neither has one.
    """
    limit = min(config.max_tokens or _NO_LIMIT, tokenizer.model_max_length)
    return int(limit) if limit < _NO_LIMIT else None


def _check_ids(tokenizer: PreTrainedTokenizerFast, vocab_size: int, folder: Path) -> None:
    highest = highest_id(tokenizer)
    if highest >= vocab_size:
        raise InputError(
            f"the tokenizer has ids up to {highest}, but the model embeds {vocab_size} (0 to "
            f"{vocab_size - 1})",
            where=str(folder),
            expected="the tokenizer that the model was trained with",
            remedy="copy the tokenizer's files from the model that this one was made from",
        )


def _not_fast(name: str, folder: Path) -> InputError:
    return InputError(
        f"the model needs a fast tokenizer, and Transformers has none for {name}",
        where=str(folder),
        expected="a model with a tokenizer.json",
        remedy="choose a model that has one, e.g. --model FacebookAI/xlm-roberta-base, which reads"
        " 100 languages",
    )


def _not_made(there: list[str], folder: Path, name: str, *, own_code: bool) -> InputError:
    if own_code:
        return InputError(
            f"no fast tokenizer can be made from {', '.join(there)} without the checkpoint's own"
            " code (`auto_map`), which is never run",
            where=str(folder),
            expected="tokenizer.json",
            remedy="choose a model with a tokenizer.json",
        )
    converted = sentencepiece_model.FILES
    expected = "tokenizer.json"
    if name in converted:
        expected += f", or {converted[name]} for {name}"
    elif any(file.endswith(".model") for file in there):
        expected += f" (SentencePiece models are converted for {', '.join(converted)})"
    return InputError(
        f"no fast tokenizer can be made from {', '.join(there)}",
        where=str(folder),
        expected=expected,
        remedy="convert it where `sentencepiece` is installed: "
        "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
    )
