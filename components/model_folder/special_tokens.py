"""The special tokens of a tokenizer, and the tokens added to its vocabulary, with their flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.model_folder.tokenizer_settings import (
    SPECIAL_TOKENS,
    TokenizerSettings,
)

if TYPE_CHECKING:
    from tokenizers import AddedToken


def with_special_tokens(
    given: Mapping[str, Any], settings: TokenizerSettings, listed: Mapping[int, AddedToken]
) -> dict[str, Any]:
    """Add the flags of a tokenizer's special tokens, from the same files as Transformers.

    They are under `added_tokens_decoder` in tokenizer_config.json, or else in
    special_tokens_map.json, added_tokens.json and tokenizer.json.

    Args:
        given: The arguments of Transformers' class so far.
        settings: The settings in the folder.
        listed: The added tokens in tokenizer.json, by id.

    Returns:
        All arguments.
    """
    from tokenizers import AddedToken

    def token(value: Any, **flags: bool) -> Any:
        if not isinstance(value, dict):
            return value
        return AddedToken(**{k: v for k, v in value.items() if k != "__type"} | flags)

    values = dict(given)
    if settings.added is not None:
        added = {index: token(value) for index, value in settings.added.items()}
    else:
        values |= settings.tokens
        special = {text_of(values[key]) for key in SPECIAL_TOKENS if values.get(key)}
        special |= {text_of(value) for value in values.get("extra_special_tokens", [])}
        added = {
            index: AddedToken(name, normalized=name not in special, special=name in special)
            for name, index in settings.added_names.items()
        }
        added |= listed
    by_name = {str(value): value for value in added.values()}
    for key in SPECIAL_TOKENS:
        if values.get(key) is not None:
            name = text_of(values[key])
            values[key] = by_name.get(name, token(values[key], special=True))
    if extra := values.get("extra_special_tokens"):
        values["extra_special_tokens"] = [token(value, special=True) for value in extra]
    return values | {"added_tokens_decoder": added}


def text_of(value: Any) -> Any:
    """The text of a token; other settings are returned unchanged."""
    return value["content"] if isinstance(value, dict) else value
