"""The words of a text, and where they are in it."""

from __future__ import annotations

import re
import unicodedata

# What no word is made of: punctuation, symbols, and the characters of scripts without spaces, each
# of which is a word, as it is to the tokenizers of BERT.
_MARKS = "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c)[0] in "PS")
_ALONE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\U0001f000-\U0001faff"
_LETTER = rf"[^\s{re.escape(_MARKS)}{_ALONE}]"
# An address; a word with what joins its parts, and the mark that handles and topics begin with; or
# a single character.
_WORD = re.compile(rf"https?://\S+|[@#]?{_LETTER}+(?:[-_'\u2019.]{_LETTER}+)*|\S")


def words_of(text: str | list[str]) -> tuple[list[str], list[int], str]:
    """Cut a text into words, much as the words of datasets were.

    Args:
        text: The text, or its words: then they are what they are.

    Returns:
        The words, the character that each begins with, and the text; of words the text is these
        with spaces between.
    """
    if isinstance(text, str):
        found = list(_WORD.finditer(text))
        return [m.group() for m in found], [m.start() for m in found], text
    starts, at = [], 0
    for word in text:
        starts.append(at)
        at += len(word) + 1
    return text, starts, " ".join(text)
