"""Tags of words: which scheme marks the entities, whether it is kept to, and IOB2 out of all.

In IOB2 every entity begins with B; in IOB1 only one that follows another of its type; in IOBES
(also written BILOU or BMES) the last word and the only word of one are marked too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

OUTSIDE = "O"
IOB1, IOB2, IOBES = "IOB1", "IOB2", "IOBES"
# What other names of the last scheme call its letters.
_LETTERS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
_TAG = re.compile(rf"([{''.join(_LETTERS)}])-(.+)")


def parse(tag: str) -> tuple[str, str]:
    """A tag's letter, of B, I, E and S, and its type; O, and no type, for any other tag."""
    found = _TAG.fullmatch(tag)
    return (_LETTERS[found[1]], found[2]) if found else (OUTSIDE, "")


def is_foreign(tag: str) -> bool:
    """Whether it is no tag of any scheme."""
    return tag != OUTSIDE and parse(tag)[0] == OUTSIDE


def mark_entities(tags: Iterable[str]) -> bool:
    """Whether these different tags mark entities: all but O are of a letter and a type."""
    parsed = {tag: parse(tag)[0] != OUTSIDE for tag in tags}
    return any(parsed.values()) and (OUTSIDE in parsed or all(parsed.values()))


def violations(tags: Sequence[str]) -> dict[str, tuple[int, str]]:
    """What in a sentence's tags each of the schemes does not allow.

    Args:
        tags: Of the words, in order.

    Returns:
        By scheme the first word that is wrong and what is wrong with it; only those with one.
    """
    found: dict[str, tuple[int, str]] = {}
    previous, letter_before, type_before = "the beginning", OUTSIDE, ""
    for i, tag in enumerate(tags):
        letter, kind = parse(tag)
        said = (i, f"{tag} after {previous}")
        same = kind == type_before and letter_before != OUTSIDE
        is_open = letter_before in "BI"
        if letter == "I" and not same:
            found.setdefault(IOB2, said)
        if letter == "B" and not same:
            found.setdefault(IOB1, said)
        if (letter in "IE") != is_open or (is_open and not same):
            found.setdefault(IOBES, said)
        previous, letter_before, type_before = tag, letter, kind
    if letter_before in "BI":
        found.setdefault(IOBES, (len(tags) - 1, f"the end after {previous}"))
    return found


def find_scheme(letters: Iterable[str], wrong: Mapping[str, int]) -> str:
    """The scheme that tags are of.

    Args:
        letters: Those in use, as `parse` gives them.
        wrong: In how many sentences each scheme is violated.

    Returns:
        IOBES where its own letters are in use, else that of the other two which fewer violate.
    """
    if {"E", "S"} & set(letters):
        return IOBES
    return IOB1 if wrong.get(IOB1, 0) < wrong.get(IOB2, 0) else IOB2


def to_iob2(tags: Sequence[str]) -> list[str]:
    """A sentence's tags as IOB2, whatever scheme they are of; invalid ones as conlleval reads them.

    An entity begins where a tag says so, where the type changes, and where the one before ended.
    """
    written = []
    letter_before, type_before = OUTSIDE, ""
    for tag in tags:
        letter, kind = parse(tag)
        begins = letter in "BS" or kind != type_before or letter_before in "ESO"
        written.append(OUTSIDE if letter == OUTSIDE else f"{'B' if begins else 'I'}-{kind}")
        letter_before, type_before = letter, kind
    return written


def iob2_names(types: Iterable[str]) -> list[str]:
    """All tags of entities of these types: O, and for each type B and I."""
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in types for letter in "BI")]
