"""Text from data, a model or a library, made unable to steer what shows it."""

from __future__ import annotations

import unicodedata

# They change the order in which a terminal, a page or an editor shows what stands around them.
_BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def is_steering(character: str) -> bool:
    """Whether it is a control character, a separator of lines, or changes the direction."""
    return character in _BIDIRECTIONAL or unicodedata.category(character) in ("Cc", "Zl", "Zp")


def inert(text: str) -> str:
    """The same with such characters replaced, visibly; ends of lines and tabs are kept."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if is_steering(c) and c not in "\n\t" else c for c in text
    )
