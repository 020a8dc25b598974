"""The delimiter of a file: the user's, or detected.

The delimiter is that of the suffix, unless that gives only one cell per line, and exactly one of
the other usual delimiters gives the header and the first rows the same number of cells, more than
one.
"""

from __future__ import annotations

import re
from itertools import islice

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.split_lines import Dialect
from kfp_finetune.components.storage.files import File

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe", " ": "space"}
_WORDS = {"tab": "\t", r"\t": "\t"} | {name: mark for mark, name in _NAMES.items()}
_LOOKED_AT = 20


def parse_delimiter(value: str) -> str:
    r"""The delimiter that a user's value means: the character itself, or "tab", "\t", "pipe" ...

    Raises:
        InputError: If it cannot be a delimiter.
    """
    delimiter = _WORDS.get(value.lower(), value)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise InputError(
            f"delimiter is {value!r}",
            where="delimiter",
            expected="one character, or one of " + ", ".join(_WORDS),
            remedy="--delimiter tab",
        )
    return delimiter


def find_delimiter(file: File, given: str | None, head: list[str]) -> tuple[str, list[str]]:
    """The delimiter of a file, and a note if it is not the suffix's.

    Args:
        file: The file.
        given: The user's delimiter; None to detect it.
        head: The first lines of the file.
    """
    if given is not None:
        return parse_delimiter(given), []
    usual = _DELIMITERS.get(file.format, "\t")
    if _divides(usual, head):
        return usual, []
    others = [mark for mark in ",;\t|" if mark != usual and _divides(mark, head)]
    if len(others) != 1:
        return usual, []
    return others[0], [
        f"{file.name} is read with a {_NAMES[others[0]]} as delimiter: every row then has the same"
        " number of cells as the header"
    ]


def _divides(delimiter: str, head: list[str]) -> bool:
    """Return True if the header and first rows have the same number of cells, more than one."""
    for quoted in (True, False):
        rows = list(islice(Dialect(delimiter, quoted).rows(head), _LOOKED_AT))
        widths = {0 if row.problem else len(row.cells) for row in rows}
        if len(widths) == 1 and min(widths) > 1:
            return True
    return False
