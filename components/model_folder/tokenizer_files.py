"""A tokenizer's files: a copy of what may be read, so that nothing else can be.

Transformers takes paths from `tokenizer_config.json`: of files it then reads (`vocab_file`,
`tokenizer_file`, ...) and, as names of chat templates, of files it writes when the tokenizer is
saved (CVE-2026-9856). So it is never shown the folder itself, but one that has the known files
under their known names, and configurations without such keys.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import find, read_json

VOCABULARY_FILES = (
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
    *VOCABULARY_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
# Keys that stand for files, positional arguments that may, and what is for generation only.
_LEFT_OUT = re.compile(
    r"__.*|.*_files?|init_inputs|from_slow|tokenizer_object|name_or_path|chat_template|auto_map"
)
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def safe_copy(folder: Path, target: Path) -> list[str]:
    """Copy what a tokenizer may be opened from.

    Args:
        folder: A model's folder, or a tokenizer's alone.
        target: An empty folder.

    Returns:
        The names of the vocabulary's files.

    Raises:
        InputError: If a file is a link out of the folder or is damaged, or a configuration names
            chat templates by paths.
    """
    for name in VOCABULARY_FILES:
        if (path := find(folder, name)) is not None:
            shutil.copyfile(path, target / name)
    if (added := read_json(folder, "added_tokens.json")) is not None:
        _write(target / "added_tokens.json", added)
    # The keys of both become arguments of the tokenizer's class.
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (config := read_json(folder, name)) is not None:
            _check_templates(config.get("chat_template"), folder / name)
            _check_class(config, folder / name)
            kept = _without_paths(config)
            if isinstance(extra := kept.get("extra_special_tokens"), dict):
                kept["extra_special_tokens"] = _without_paths(extra)
            _write(target / name, kept)
    model = read_json(folder, "config.json")
    if model is not None:  # the tokenizer's class follows from these where nothing else says it
        _check_class(model, folder / "config.json")
        _write(
            target / "config.json",
            {key: model[key] for key in ("model_type", "tokenizer_class") if model.get(key)},
        )
    return [name for name in VOCABULARY_FILES if (target / name).is_file()]


def copy_known(folder: Path, target: Path) -> None:
    """Copy a tokenizer's files under their known names, and nothing else.

    Args:
        folder: Where `save_pretrained` wrote them, or a folder that this project wrote.
        target: A folder that exists.
    """
    for name in TOKENIZER_FILES:
        if (path := find(folder, name)) is not None:
            shutil.copyfile(path, target / name)


def _check_templates(templates: Any, where: Path) -> None:
    """Refuse chat templates whose names are paths; others are left out, for they are not used."""
    if isinstance(templates, dict):
        names = [str(name) for name in templates]
    elif isinstance(templates, list):
        names = [str(t.get("name")) for t in templates if isinstance(t, dict)]
    else:
        return
    paths = [name for name in names if not _TEMPLATE_NAME.fullmatch(name)]
    if paths:
        raise InputError(
            f"the name of a chat template is a path: {paths[0][:100]!r}",
            where=f"{where} (chat_template)",
            expected="names of letters, digits, '_', '-' and '.'",
            remedy="do not use this model: saving its tokenizer elsewhere would write files"
            " outside of the folder",
        )


def _check_class(config: dict[str, Any], where: Path) -> None:
    name = config.get("tokenizer_class")
    if name and not (isinstance(name, str) and _CLASS.fullmatch(name) and "Tokenizer" in name):
        raise InputError(
            f"tokenizer_class is {str(name)[:100]!r}",
            where=str(where),
            expected="the name of one of Transformers' tokenizers, such as BertTokenizer",
            remedy="download or copy the file again",
        )


def _without_paths(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not _LEFT_OUT.fullmatch(key)}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
