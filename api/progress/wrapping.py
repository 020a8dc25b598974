"""Text in the width of a terminal: words stay whole, and later lines are indented."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TextIO

from rich.cells import cell_len

_NARROW = 24  # columns: with fewer left for the text, indenting it is of no use
_HEAD = re.compile(r"error: |  \w+: +| *")


def wrapped(text: str, width: int, first: str = "") -> list[str]:
    """Lines of at most `width` columns where the words allow it.

    A word that is longer, such as an address, is left to the terminal, which keeps it one link. So
    is a text with a command in it, to be copied as one line.

    Args:
        text: One line.
        width: Columns of the terminal.
        first: What stands before it; the other lines are indented as far.
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
    """An error message as it is written to a stream: wrapped if that is a terminal."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = []
    for line in text.split("\n"):
        head = _HEAD.match(line)
        first = head[0] if head else ""
        lines += wrapped(line[len(first) :], width, first)
    return "\n".join(lines)
