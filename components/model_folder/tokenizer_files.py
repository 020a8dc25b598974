"""Find the files of a tokenizer by their names, and save a tokenizer.

Transformers takes paths from `tokenizer_config.json`: paths of files to read (`vocab_file`,
`tokenizer_file`, ...) and, as names of chat templates, paths of files to write when the tokenizer
is saved (CVE-2026-9856). It is therefore never given a folder: this module finds files by their
known names and saves the tokenizer, and `tokenizer_settings.py` reads only known keys.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.model_folder.files import find

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    # Converted for the classes of `sentencepiece_model.FILES`; others are refused by name.
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
)
TOKENIZER_FILES = (
    *VOCABULARY_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
# Transformers 4.57 and 5 both open tokenizer.json unchanged with this class. The class that 5
# writes by default, TokenizersBackend, is unknown to 4.57; in 5, the classes of the families
# rebuild the tokenizer and ignore parts of tokenizer.json.
_SAVED_CLASS = "PreTrainedTokenizerFast"


def save(tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Save a tokenizer so that Transformers 4.57 and 5 give the same ids from it.

    Args:
        tokenizer: A tokenizer from `fast_tokenizer.open_tokenizer`.
        path: The folder, which exists. tokenizer.json and tokenizer_config.json are written.
    """
    backend = tokenizer.backend_tokenizer
    backend.save(str(path / "tokenizer.json"))
    kept: dict[str, Any] = {
        name: value
        for name, value in tokenizer.init_kwargs.items()
        if isinstance(value, bool | str) or value is None
    }
    kept |= {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    if extra := [str(token) for token in tokenizer.extra_special_tokens]:
        kept["additional_special_tokens"] = extra  # 4.57 takes a list under this name only
    added = getattr(backend.pre_tokenizer, "add_prefix_space", None)
    if added is not None:  # the default of 4.57 is false
        kept["add_prefix_space"] = added
    kept |= {
        "model_input_names": tokenizer.model_input_names,
        "model_max_length": tokenizer.model_max_length,
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "tokenizer_class": _SAVED_CLASS,
    }
    text = json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False)
    (path / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def copy_known(folder: Path, target: Path) -> None:
    """Copy a tokenizer's files under their known names, and nothing else.

    Args:
        folder: A folder that this project wrote.
        target: A folder that exists.
    """
    for name in TOKENIZER_FILES:
        if (path := find(folder, name)) is not None:
            shutil.copyfile(path, target / name)
