"""Replace control characters in text from data, models and libraries before it is shown."""

from __future__ import annotations

import unicodedata

# These change the direction in which a terminal, a page or an editor shows the text around them.
_BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def is_steering(character: str) -> bool:
    """Return True for a control character, a line separator, or a change of direction."""
    return character in _BIDIRECTIONAL or unicodedata.category(character) in ("Cc", "Zl", "Zp")


def inert(text: str) -> str:
    """The text with such characters replaced by U+FFFD; line ends and tabs are kept."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if is_steering(c) and c not in "\n\t" else c for c in text
    )
