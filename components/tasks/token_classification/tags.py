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
_ANY = "".join(_LETTERS)
_TAG = re.compile(rf"([{_ANY}])-(.+)")
# Other spellings of the same: b-per, B_PER, B:PER, PER-B, and B alone where there is one type.
_BEFORE = re.compile(rf"([{_ANY}])[-_:/](.+)", re.IGNORECASE)
_AFTER = re.compile(rf"(.+)[-_:/]([{_ANY}])")
_OUTSIDE = {"o", "0", "-", "_", "i-o", "b-o", "o-o", "out", "outside"}
ONLY_TYPE = "entity"


def parse(tag: str) -> tuple[str, str]:
    """A tag's letter, of B, I, E and S, and its type; O, and no type, for any other tag."""
    found = _TAG.fullmatch(tag)
    return (_LETTERS[found[1]], found[2]) if found else (OUTSIDE, "")


def canonical(tag: str) -> str:
    """A tag as `parse` reads it, where it is one in another spelling; else as it is."""
    if tag == OUTSIDE or _TAG.fullmatch(tag):
        return OUTSIDE if tag.lower() in _OUTSIDE else tag  # I-O marks no entity of the type O
    if tag.lower() in _OUTSIDE:
        return OUTSIDE
    if tag in _LETTERS:
        return f"{tag}-{ONLY_TYPE}"
    if found := _BEFORE.fullmatch(tag):
        return f"{found[1].upper()}-{found[2]}"
    found = _AFTER.fullmatch(tag)
    return f"{found[2]}-{found[1]}" if found else tag


def is_foreign(tag: str) -> bool:
    """Whether it is no tag of any scheme."""
    return tag != OUTSIDE and parse(tag)[0] == OUTSIDE


def mark_entities(tags: Iterable[str]) -> bool:
    """Whether these different tags mark entities, in whatever spelling.

    All but O are of a letter and a type. Where they are only in another spelling, there must be
    one for O, or letters that begin and continue an entity; for tags of other kinds may look alike.
    """
    tags = set(tags)
    parsed = {tag: parse(tag)[0] != OUTSIDE for tag in tags}
    if any(parsed.values()) and (OUTSIDE in parsed or all(parsed.values())):
        return True
    letters = {parse(canonical(tag))[0] for tag in tags if canonical(tag) != OUTSIDE}
    outside = any(canonical(tag) == OUTSIDE for tag in tags)
    bare = len(tags & set(_LETTERS))
    if not letters or OUTSIDE in letters or (bare and bare < len(tags) - outside):
        return False
    return {"B", "I"} <= letters or (outside and bool(letters & {"B", "I", "S"}))


def are_types(tags: Iterable[str]) -> bool:
    """Whether these different tags are O and types without letters: PER, LOC.

    Single characters are not taken for types: there are tags of parts of speech that are such, O
    among them.
    """
    others = set(tags) - {OUTSIDE}
    names = all(len(tag) > 1 and parse(canonical(tag))[0] == OUTSIDE for tag in others)
    return OUTSIDE in tags and bool(others) and names and not others & _OUTSIDE


def spelling(tags: Iterable[str]) -> dict[str, str]:
    """Tags of entities as `parse` reads them, by how they are spelled."""
    tags = set(tags)
    if are_types(tags):
        return {tag: tag if tag == OUTSIDE else f"I-{tag}" for tag in tags}
    return {tag: canonical(tag) for tag in tags}


def look_like_entities(tags: Iterable[str]) -> list[str]:
    """Those of some tags that look like tags of entities; none unless some of them begin one."""
    alike = [tag for tag in tags if tag not in _LETTERS and parse(canonical(tag))[0] != OUTSIDE]
    return alike if any(parse(canonical(tag))[0] == "B" for tag in alike) else []


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
