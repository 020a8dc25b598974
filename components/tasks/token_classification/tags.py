"""Tagging schemes: detect the scheme, find violations, and convert all schemes to IOB2.

In IOB2 every entity begins with B; in IOB1 only an entity that follows another of its type. IOBES
(also called BILOU or BMES) also marks the last word and the only word of an entity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

OUTSIDE = "O"
IOB1, IOB2, IOBES = "IOB1", "IOB2", "IOBES"
# The letters of the other names of IOBES.
_LETTERS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
_ANY = "".join(_LETTERS)
_TAG = re.compile(rf"([{_ANY}])-(.+)")
# Other spellings: b-per, B_PER, B:PER, PER-B, and B alone if there is only one type.
_BEFORE = re.compile(rf"([{_ANY}])[-_:/](.+)", re.IGNORECASE)
_AFTER = re.compile(rf"(.+)[-_:/]([{_ANY}])")
_OUTSIDE = {"o", "0", "-", "_", "i-o", "b-o", "o-o", "out", "outside"}
ONLY_TYPE = "entity"


def parse(tag: str) -> tuple[str, str]:
    """The letter of a tag (B, I, E or S) and its type; O and no type for any other tag."""
    found = _TAG.fullmatch(tag)
    return (_LETTERS[found[1]], found[2]) if found else (OUTSIDE, "")


def canonical(tag: str) -> str:
    """A tag in the usual spelling if it has another one; else the tag itself."""
    if tag == OUTSIDE or _TAG.fullmatch(tag):
        return OUTSIDE if tag.lower() in _OUTSIDE else tag  # I-O does not mark an entity of type O
    if tag.lower() in _OUTSIDE:
        return OUTSIDE
    if tag in _LETTERS:
        return f"{tag}-{ONLY_TYPE}"
    if found := _BEFORE.fullmatch(tag):
        return f"{found[1].upper()}-{found[2]}"
    found = _AFTER.fullmatch(tag)
    return f"{found[2]}-{found[1]}" if found else tag


def is_foreign(tag: str) -> bool:
    """Return True if a tag belongs to no scheme."""
    return tag != OUTSIDE and parse(tag)[0] == OUTSIDE


def mark_entities(tags: Iterable[str]) -> bool:
    """Return True if these distinct tags mark entities, in any spelling.

    All except O consist of a letter and a type. In other spellings than the usual one there must be
    a tag for O, or letters that begin and continue an entity, because other tags may look similar.
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
    """Return True if these distinct tags are O and types without letters: PER, LOC.

    Single characters are not types: some part-of-speech tags are single characters, including O.
    """
    others = set(tags) - {OUTSIDE}
    names = all(len(tag) > 1 and parse(canonical(tag))[0] == OUTSIDE for tag in others)
    return OUTSIDE in tags and bool(others) and names and not others & _OUTSIDE


def spelling(tags: Iterable[str]) -> dict[str, str]:
    """The usual spelling of each tag of entities."""
    tags = set(tags)
    if are_types(tags):
        return {tag: tag if tag == OUTSIDE else f"I-{tag}" for tag in tags}
    return {tag: canonical(tag) for tag in tags}


def look_like_entities(tags: Iterable[str]) -> list[str]:
    """The tags that look like tags of entities; empty unless one of them begins an entity."""
    alike = [tag for tag in tags if tag not in _LETTERS and parse(canonical(tag))[0] != OUTSIDE]
    return alike if any(parse(canonical(tag))[0] == "B" for tag in alike) else []


def violations(tags: Sequence[str]) -> dict[str, tuple[int, str]]:
    """The violations of each scheme in the tags of a sentence.

    Args:
        tags: The tags of the words, in order.

    Returns:
        For each violated scheme the position of the first wrong word, and the violation.
    """
    found: dict[str, tuple[int, str]] = {}
    previous, letter_before, type_before = "the beginning", OUTSIDE, ""
    for i, tag in enumerate(tags):
        letter, kind = parse(tag)
        violation = (i, f"{tag} after {previous}")
        same = kind == type_before and letter_before != OUTSIDE
        is_open = letter_before in "BI"
        if letter == "I" and not same:
            found.setdefault(IOB2, violation)
        if letter == "B" and not same:
            found.setdefault(IOB1, violation)
        if (letter in "IE") != is_open or (is_open and not same):
            found.setdefault(IOBES, violation)
        previous, letter_before, type_before = tag, letter, kind
    if letter_before in "BI":
        found.setdefault(IOBES, (len(tags) - 1, f"the end after {previous}"))
    return found


def find_scheme(letters: Iterable[str], wrong: Mapping[str, int]) -> str:
    """The scheme of the tags of a dataset.

    Args:
        letters: The letters in use, as `parse` returns them.
        wrong: The number of sentences that violate each scheme.

    Returns:
        IOBES if its own letters are in use; else the one of the other two with fewer violations.
    """
    if {"E", "S"} & set(letters):
        return IOBES
    return IOB1 if wrong.get(IOB1, 0) < wrong.get(IOB2, 0) else IOB2


def to_iob2(tags: Sequence[str]) -> list[str]:
    """Convert the tags of a sentence to IOB2; invalid ones are read as conlleval does.

    An entity begins at a tag that begins one, at a change of type, and after the end of another.
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
    """The IOB2 tags of these types: O, and B and I for each type."""
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in types for letter in "BI")]
