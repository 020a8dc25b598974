"""Split a text into words, with their positions."""

from __future__ import annotations

import re
import unicodedata

# Never part of a longer word: punctuation, symbols, and the characters of scripts without spaces.
# Each of them is a word, as in the tokenizers of BERT.
_MARKS = "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c)[0] in "PS")
_ALONE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\U0001f000-\U0001faff"
_LETTER = rf"[^\s{re.escape(_MARKS)}{_ALONE}]"
# A URL; a word with hyphens, apostrophes and dots inside, and the @ or # before handles and topics;
# or a single character.
_WORD = re.compile(rf"https?://\S+|[@#]?{_LETTER}+(?:[-_'\u2019.]{_LETTER}+)*|\S")


def words_of(text: str | list[str]) -> tuple[list[str], list[int], str]:
    """Split a text into words, much as datasets do.

    Args:
        text: The text, or its words, which are used unchanged.

    Returns:
        The words, the position of the first character of each, and the text; for words, the words
        joined by spaces.
    """
    if isinstance(text, str):
        found = list(_WORD.finditer(text))
        return [m.group() for m in found], [m.start() for m in found], text
    starts, at = [], 0
    for word in text:
        starts.append(at)
        at += len(word) + 1
    return text, starts, " ".join(text)
