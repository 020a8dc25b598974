"""Wrap text to the width of a terminal at words, with a hanging indent."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TextIO

from rich.cells import cell_len

_NARROW = 24  # columns; with fewer for the text, it is not indented
_HEAD = re.compile(r"error: |  \w+: +| *")


def wrapped(text: str, width: int, first: str = "") -> list[str]:
    """Wrap a text to lines of at most `width` columns.

    A longer word, such as an address, is not broken, so that it remains one link in the terminal. A
    text with a command is not wrapped either, so that it can be copied as one line.

    Args:
        text: One line.
        width: Columns of the terminal.
        first: The text before it; other lines are indented to its end.
    """
    if "kfp-finetune " in text:
        return [first + text]
    indent = cell_len(first)
    lines = textwrap.wrap(
        text,
        max(width, _NARROW),
        initial_indent=first,
        subsequent_indent=" " * (indent if width - indent >= _NARROW else 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]


def message(text: str, stream: TextIO) -> str:
    """Format an error message for a stream; wrapped if that is a terminal."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = []
    for line in text.split("\n"):
        head = _HEAD.match(line)
        first = head[0] if head else ""
        lines += wrapped(line[len(first) :], width, first)
    return "\n".join(lines)
