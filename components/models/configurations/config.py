"""A typed configuration: the keys of config.json that an architecture reads, with their checks.

A family declares a frozen dataclass whose fields have the names and defaults of Transformers'
configuration class. A key that PyTorch's modelling code reads is a field here, so that it is either
implemented or refused by name; all other keys have no influence on the logits and are ignored.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models.configurations.rules import MOST_LAYERS, only, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The configuration that all encoders share.

    Attributes:
        model_type: The name of the family in config.json.
        described: The content of config.json.
    """

    # Aliases of keys that Transformers reads too; if both are given, the alias overrides.
    ALIASES: ClassVar[Mapping[str, str]] = {}
    # Keys of the code that came with the first published models. Transformers ignores them; they
    # are used if its own key is not given.
    OLD_NAMES: ClassVar[Mapping[str, str]] = {}
    # True if the second text of a pair can have its own token type.
    TOKEN_TYPES: ClassVar[bool] = True

    model_type: str
    described: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    vocab_size: int = size(30_522)
    is_decoder: bool = only(False)
    add_cross_attention: bool = only(False)

    @classmethod
    def read(cls, described: Mapping[str, Any], where: Path) -> Self:
        """Check the keys of a config.json and return the typed configuration.

        Args:
            described: The configuration; a missing key has Transformers' default.
            where: The file, for the message.

        Raises:
            InputError: Naming every key whose value is not implemented.
        """
        given = dict(described)
        for old, new in cls.ALIASES.items():
            if old in given:
                given[new] = given.pop(old)
        for old, new in cls.OLD_NAMES.items():
            if old in given:
                given.setdefault(new, given.pop(old))
        given = cls.translated(given)
        values: dict[str, Any] = {}
        wrong = {"pruned_heads": "{}"} if given.get("pruned_heads") else {}
        for field in dataclasses.fields(cls):
            rule = field.metadata.get("rule")
            if rule is None or field.name not in given:
                continue
            value = values[field.name] = given[field.name]
            if not rule.accepts(value):
                wrong[field.name] = rule.expected
        if wrong:
            raise unsupported(given, wrong, where)
        config = cls(model_type=described["model_type"], described=dict(described), **values)
        if problems := config.problems():
            values = {key: given.get(key, getattr(config, key, None)) for key in problems}
            raise unsupported(values, problems, where)
        return config

    @classmethod
    def translated(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Convert old keys of a config.json to the fields; overridden by families."""
        return dict(given)

    def old_keys(self) -> dict[str, Any]:
        """Additional keys to write for older releases; overridden by families."""
        return {}

    def problems(self) -> dict[str, str]:
        """Keys that contradict others, and the expected value of each; overridden by families."""
        return {}

    @property
    def max_tokens(self) -> int | None:
        """The maximum number of tokens, limited by positions; None for no limit."""
        return getattr(self, "max_position_embeddings", None)

    @property
    def fixed_ids(self) -> int:
        """The number of leading token ids that layers treat specially, such as padding."""
        return 0

    @property
    def takes_token_types(self) -> bool:
        """Return True if token types distinguish the two texts of a pair."""
        return self.TOKEN_TYPES and getattr(self, "type_vocab_size", 0) > 1


def unsupported(given: Mapping[str, Any], wrong: Mapping[str, str], where: Path) -> InputError:
    """The error for keys with values that are not implemented.

    Args:
        given: The configuration.
        wrong: The supported values of each key.
        where: The file.
    """
    return InputError(
        "the model uses unsupported settings: "
        + ", ".join(f"{key} {given.get(key)!r:.60}" for key in wrong),
        where=str(where),
        expected="; ".join(f"{key} {value}" for key, value in wrong.items()),
        remedy="choose another model; changing the key would change the model's predictions",
    )


def together(**depths: int) -> dict[str, str]:
    """Refuse a product of numbers of nested layers that is too large."""
    product = " x ".join(depths)
    most = f"{product} up to {MOST_LAYERS:,}"
    return {} if math.prod(depths.values()) <= MOST_LAYERS else dict.fromkeys(depths, most)


def heads_divide(width: int, heads: int, key: str = "num_attention_heads") -> dict[str, str]:
    """Refuse a number of heads that does not divide the width."""
    return {} if width % heads == 0 else {key: f"a divisor of {width}"}
