"""Delimited text in another encoding, with rows of the wrong length, or unclosed quotes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.load_data.refused import GOOD, PLAIN, Case

DROP = "--on-bad-row drop"
NUL = "a NUL character"


def undecoded(content: bytes | str, name: str, where: str, remedy: str, **given: str) -> Case:
    return Case({"data.csv": content}, given, f"not {name}: byte 0x", where, name, remedy)


def parameter(name: str, value: str, expected: str, remedy: str) -> Case:
    return Case(PLAIN, {name: value}, repr(value), name, expected, remedy)


CASES = {
    "Latin-1 as UTF-8": undecoded(
        (GOOD + "café,returns\n").encode("latin-1"),
        "UTF-8",
        "{file}, byte 1,324, line 32",
        "--encoding cp1252 ... --encoding latin-1 ... convert it to UTF-8",
    ),
    "half a UTF-16 character": undecoded(
        b"\xff\xfe" + GOOD.encode("utf-16-le") + b"a",
        "UTF-16-LE",
        "{file}, byte 2,644, line 32",
        "--encoding utf-8",
    ),
    "a wrong encoding": undecoded(
        GOOD + "é,returns\n",
        "ASCII",
        "{file}, byte 1,321, line 32",
        "--encoding utf-8",
        encoding="ascii",
    ),
    "UTF-16 without a mark": Case(
        {"data.csv": GOOD.encode("utf-16-le")},
        found=NUL,
        where="{file}, byte 1, line 1",
        remedy="--encoding utf-16-le",
    ),
    "a NUL in the text": Case(
        {"data.csv": GOOD + "go\0od,returns\n"}, found=NUL, where="{file}, byte 1,323, line 32"
    ),
    "no such encoding": parameter("encoding", "utf-9", "utf-16, cp1252", "--encoding cp1252"),
    "a delimiter of two characters": parameter("delimiter", "||", "tab", "--delimiter tab"),
    "a quote for a delimiter": parameter("delimiter", '"', "tab", "--delimiter tab"),
    "no such quoting": parameter("quoting", "all", "minimal", "--quoting auto"),
    "a row with too many cells": Case(
        {"data.csv": GOOD + "good,bad,returns\n"},
        found="1 row (31) ... 3 cells ... 2 columns",
        where="{file}, line 32",
        remedy=DROP,
    ),
    "a row with too few cells": Case(
        {"data.csv": GOOD + "good\n"},
        found="1 row (31) ... 1 cell ... 2 columns",
        where="{file}, line 32",
        remedy=DROP,
    ),
    "a quote that is not closed": Case(
        {"data.csv": GOOD + '"good, so ""good""",returns\n' * 3 + '"good,returns\n'},
        found="1 row (34) ... quote ... not closed",
        where="{file}, line 35",
        remedy=f"{DROP} ... --quoting none",
    ),
    "a header whose quote is not closed": Case(
        {"data.csv": '"text,label\n' + "good,a\n" * 9},
        {"quoting": "minimal"},
        found="header ... quote ... not closed",
        where="{file}, header",
        expected='"say ""hi"""',
        remedy="--quoting none",
    ),
    "another delimiter than the file's": Case(
        PLAIN,
        {"delimiter": "tab"},
        found="only one column: 'text,label' ... 'open late bad parcel early late open lat'",
        remedy="--delimiter",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_delimited_text_that_cannot_be_read_is_refused(
    case: Case, refuse: Callable[[Case], None]
) -> None:
    refuse(case)
