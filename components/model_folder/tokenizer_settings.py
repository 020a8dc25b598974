"""Read the known keys of tokenizer_config.json and similar files, and check their values.

All other keys are ignored: keys for files or code (`vocab_file`, `auto_map`, ...), keys for
generation (`chat_template`), and unknown keys.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import read_json

_CONFIG, _MAP = "tokenizer_config.json", "special_tokens_map.json"
SPECIAL_TOKENS = (
    *("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"),
)
_EXTRA = ("additional_special_tokens", "extra_special_tokens")
_FLAGS = (
    *("add_prefix_space", "clean_up_tokenization_spaces", "do_lower_case", "keep_accents"),
    *("remove_space", "split_by_punct", "split_special_tokens", "strip_accents"),
    *("tokenize_chinese_chars", "trim_offsets"),
)
_SIDES = ("padding_side", "truncation_side")
_INPUTS = ("input_ids", "token_type_ids", "attention_mask")
_TOKEN_KEYS = {"content", "lstrip", "rstrip", "normalized", "single_word", "special", "__type"}
_ID = re.compile(r"[0-9]{1,10}")
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclasses.dataclass(frozen=True)
class TokenizerSettings:
    """The settings of a tokenizer in its folder, apart from the vocabulary.

    Attributes:
        tokenizer_class: The class of the saved tokenizer; "" if the folder does not name it.
        keys: The known keys of tokenizer_config.json. A special token is a string, or its content
            and flags.
        tokens: The known keys of special_tokens_map.json.
        added: The added tokens in tokenizer_config.json, by id; None if it has none.
        added_names: The ids of the added tokens in added_tokens.json, by name.
        own_code: True if the checkpoint has its own code, which is never run.
    """

    tokenizer_class: str
    keys: Mapping[str, Any]
    tokens: Mapping[str, Any]
    added: Mapping[int, dict[str, Any]] | None
    added_names: Mapping[str, int]
    own_code: bool


def read_settings(folder: Path) -> TokenizerSettings:
    """Read the settings of a tokenizer from its folder.

    Args:
        folder: The folder of a model, or of a tokenizer only.

    Raises:
        InputError: If a file is a link out of the folder or damaged, a known key has an invalid
            value, or the name of a chat template is a path.
    """
    config, model = read_json(folder, _CONFIG) or {}, read_json(folder, "config.json") or {}
    tokens = read_json(folder, _MAP) or {}
    for name, content in ((_CONFIG, config), (_MAP, tokens)):
        _check_templates(content.get("chat_template"), folder / name)
    for name, content in ((_CONFIG, config), ("config.json", model)):
        _check_class(content, folder / name)
    names = read_json(folder, "added_tokens.json") or {}
    _check(all(map(_whole, names.values())), "added_tokens.json", names, folder, "ids by token")
    return TokenizerSettings(
        tokenizer_class=config.get("tokenizer_class") or model.get("tokenizer_class") or "",
        keys=_known(config, folder / _CONFIG),
        tokens=_known(
            {k: tokens[k] for k in (*SPECIAL_TOKENS, *_EXTRA) if k in tokens}, folder / _MAP
        ),
        added=_added(config.get("added_tokens_decoder"), folder / _CONFIG),
        added_names=names,
        own_code=any(
            c.get(key) for c in (config, model) for key in ("auto_map", "trust_remote_code")
        ),
    )


def _known(config: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """The known keys, checked; the lists of special tokens become one list."""
    rules: dict[str, tuple[Callable[[Any], bool], str]] = {
        **dict.fromkeys(SPECIAL_TOKENS, (_is_token, "a token")),
        **dict.fromkeys(_FLAGS, (lambda v: isinstance(v, bool), "true or false")),
        **dict.fromkeys(_SIDES, (lambda v: v in ("left", "right"), '"left" or "right"')),
        "model_input_names": (lambda v: isinstance(v, list), "a list of names"),
    }
    found = {}
    for key, (accepts, expected) in rules.items():
        if key in config:
            value = config[key]
            _check(value is None or accepts(value), key, value, where, expected)
            found[key] = value
    if found.get("model_input_names"):
        found["model_input_names"] = [n for n in _INPUTS if n in found["model_input_names"]]
    else:
        found.pop("model_input_names", None)
    for side in _SIDES:
        if found.get(side) is None:
            found.pop(side, None)
    if "model_max_length" in config:
        found["model_max_length"] = config["model_max_length"]  # the caller checks it
    extra: list[Any] = []
    for key in _EXTRA:
        value = config.get(key) or []
        if isinstance(value, dict):  # named tokens, such as {"image_token": "<image>"}
            value = [token for name, token in value.items() if name.endswith("_token")]
        _check(isinstance(value, list) and all(map(_is_token, value)), key, value, where, "tokens")
        extra += [token for token in value if token not in extra]
    if extra:
        found["extra_special_tokens"] = extra
    return found


def _added(described: Any, where: Path) -> dict[int, dict[str, Any]] | None:
    if described is None:
        return None
    name, expected = "added_tokens_decoder", "tokens by id"
    _check(isinstance(described, dict), name, described, where, expected)
    for index, token in described.items():
        fits = bool(_ID.fullmatch(index)) and isinstance(token, dict) and _is_token(token)
        _check(fits, name, {index: token}, where, expected)
    return {int(index): token for index, token in described.items()}


def _is_token(value: Any) -> bool:
    if isinstance(value, dict):
        return (
            isinstance(value.get("content"), str)
            and value.keys() <= _TOKEN_KEYS
            and all(isinstance(v, bool) for k, v in value.items() if k not in ("content", "__type"))
        )
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check(fits: bool, name: str, value: Any, where: Path, expected: str) -> None:
    if not fits:
        raise InputError(
            f"{name} is {str(value)[:100]!r}",
            where=str(where),
            expected=expected,
            remedy="download or copy the tokenizer's files again",
        )


def _check_templates(templates: Any, where: Path) -> None:
    """Reject chat templates whose names are paths; others are ignored because they are not used."""
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


def _check_class(config: Mapping[str, Any], where: Path) -> None:
    name = config.get("tokenizer_class")
    if name and not (isinstance(name, str) and _CLASS.fullmatch(name) and "Tokenizer" in name):
        raise InputError(
            f"tokenizer_class is {str(name)[:100]!r}",
            where=str(where),
            expected="the name of one of Transformers' tokenizers, such as BertTokenizer",
            remedy="download or copy the file again",
        )
