"""What the tags of a dataset mean: which mark entities, of which types, in which scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import by_number_then_name, check_known, is_whole
from kfp_finetune.components.tasks.label_spelling import warn_of_spelling
from kfp_finetune.components.tasks.labels import FLAG, Labels
from kfp_finetune.components.tasks.problem_types import ENTITIES, TAGS
from kfp_finetune.components.tasks.token_classification.reading import TagReader, TagSets
from kfp_finetune.components.tasks.token_classification.tags import (
    IOB2,
    OUTSIDE,
    are_types,
    canonical,
    find_scheme,
    iob2_names,
    is_foreign,
    look_like_entities,
    mark_entities,
    parse,
    spelling,
)

_NO_TAG = "_"  # as Universal Dependencies writes it


def understand_tags(
    values: TagSets,
    problem_type: str,
    *,
    columns: Sequence[str] = ("tags",),
    declared: Sequence[str] | None = None,
    known: Sequence[str] | None = None,
    known_from: str = FLAG,
    numbered: Sequence[str] | None = None,
    rows_of: Callable[[Sequence[int]], str] = lambda numbers: "",
    counts: Sequence[int] | None = None,
    decimal_comma: bool = False,
) -> Labels:
    """Find out what the tags mean; arguments as `labels.understand_labels` takes them.

    Returns:
        For entities the tags of IOB2, O first and then by type, whatever scheme the data has; else
        the tags as they are. The target of a set of tags are the ids of those in it, of entities of
        those that begin one.

    Raises:
        InputError: If a tag is not a known one, or there are several label columns.
    """
    where = "column " + ", ".join(map(repr, columns))
    seen = sorted({tag for value in values.values if value for tag in value[0]})
    if problem_type == "auto":
        entities = mark_entities(seen) or (are_types(seen) and _mostly_outside(values))
        problem_type = ENTITIES if entities else TAGS
    listed = list(known or declared or ())
    if problem_type == TAGS:
        return _tags(values, seen, known, listed, where, known_from, rows_of)
    return _entities(values, seen, listed, where, known_from, rows_of)


def _tags(
    values: TagSets,
    seen: list[str],
    known: Sequence[str] | None,
    listed: list[str],
    where: str,
    known_from: str,
    rows_of: Callable[[Sequence[int]], str],
) -> Labels:
    """Tags that are learned as they are."""
    untagged = {_NO_TAG} - set(listed)
    seen = [tag for tag in seen if tag not in untagged]
    if not known and len(seen) < 2:
        raise InputError(
            f"every word has the same tag: {(seen or [_NO_TAG])[0]!r}",
            where=where,
            expected="at least two different tags",
            remedy="name another --label-column, or data with more tags",
        )
    names = listed or sorted(seen, key=by_number_then_name)
    ids = {name: i for i, name in enumerate(names)}
    _check(values, [[tag] for tag in seen], ids, where, known_from, rows_of)
    targets: list[Any] = [
        None if v is None else sorted(ids[tag] for tag in v[0] if tag not in untagged)
        for v in values.values
    ]
    invalid = {
        i: f"a word without a tag: {_NO_TAG!r} stands for none"
        for i, value in enumerate(values.values)
        if value and untagged & value[0]
    }
    reader = TagReader(values.names, ids, None, mend=values.mend)
    note = f"every word has one of {len(names)} tags"
    warnings = [] if known else _warnings(seen, values)
    return Labels(TAGS, names, targets, note, invalid, warnings, reader)


def _warnings(seen: list[str], values: TagSets) -> list[str]:
    """What tags may be besides tags that are learned as they are."""
    warnings = []
    if all(map(is_whole, seen)):
        warnings.append(
            f"the tags are the numbers {', '.join(seen[:5])}{', ...' * (len(seen) > 5)} without"
            " names, and scored word by word; if they mark entities, list the names that they"
            " count from 0, one a line: --label-names FILE"
        )
    elif alike := look_like_entities(seen):
        others = [tag for tag in seen if tag not in alike]
        warnings.append(
            f"tags such as {alike[0]!r} look like tags of entities, and"
            f" {', '.join(map(repr, others[:3]))} does not: every tag is learned as it is; if they"
            f" mark entities, mend the others, or --problem-type {ENTITIES}"
        )
    rows = {
        tag: sum(n for n, v in zip(values.rows, values.values, strict=True) if v and tag in v[0])
        for tag in seen
    }
    return warnings + warn_of_spelling(rows)


def _entities(
    values: TagSets,
    seen: Sequence[str],
    listed: Sequence[str],
    where: str,
    known_from: str,
    rows_of: Callable[[Sequence[int]], str],
) -> Labels:
    """Tags that mark entities, which are learned as IOB2."""
    spelled = spelling(seen)
    parsed = {tag: parse(spelled[tag]) for tag in seen}
    without = all(letter == OUTSIDE for letter, _ in parsed.values())
    # Data to score a model on may have none.
    if without and not (listed and set(spelled.values()) == {OUTSIDE}):
        raise InputError(
            f"no tag marks an entity: {', '.join(map(repr, seen[:5]))}",
            where=where,
            expected="tags of a letter and a type, such as B-person, and O",
            remedy=f"--problem-type {TAGS}, or name another --label-column"
            if known_from == FLAG
            else known_from,
        )
    types = dict.fromkeys(kind for tag in listed if (kind := parse(canonical(tag))[1]))
    names = iob2_names(types or sorted({kind for _, kind in parsed.values() if kind}))
    if sorted(names) == sorted(listed):
        names = list(listed)
    ids = {name: i for i, name in enumerate(names)}
    begins = {tag: f"B-{kind}" for tag, (_, kind) in parsed.items() if kind}
    _check(values, [[b] for b in begins.values()], ids, where, known_from, rows_of, begins)
    scheme = find_scheme((letter for letter, _ in parsed.values()), values.wrong)
    targets: list[Any] = []
    invalid: dict[int, str] = {}
    mended = 0
    for i, value in enumerate(values.values):
        if value is None:
            targets.append(None)
            continue
        tags, found = value
        targets.append(sorted({ids[begins[tag]] for tag in tags if tag in begins}))
        said = dict(found).get(scheme)
        if foreign := sorted(tag for tag in tags if is_foreign(spelled[tag])):
            invalid[i] = f"the tag {foreign[0]!r}, which is neither O nor of a letter and a type"
        elif said and values.mend:
            mended += values.rows[i]
        elif said:
            invalid[i] = f"tags that are not {scheme}: {said}"
    number = f"{(len(names) - 1) // 2} type{'s' * (len(names) > 3)}"
    note = f"the tags mark entities of {number}, as {scheme}"
    note += " (written as IOB2)" * (scheme != IOB2)
    if other := {tag: name for tag, name in spelled.items() if tag != name}:
        shown = ", ".join(f"{tag!r} as {name}" for tag, name in list(other.items())[:4])
        note += f"; read {shown}" + ", ..." * (len(other) > 4)
    if mended:
        note += f"; of {mended:,} sentence{'s' * (mended > 1)} they were not valid, and are mended"
    reader = TagReader(values.names, ids, scheme, mend=values.mend, spelled=spelled)
    warnings = [] if listed else warn_of_spelling(_rows_of_types(values, parsed))
    if are_types(seen):
        warnings.append(
            "the tags are types without letters: words of one type side by side are read as one"
            f" entity; if the tags mark no entities: --problem-type {TAGS}"
        )
    return Labels(ENTITIES, names, targets, note, invalid, warnings, reader)


def _mostly_outside(values: TagSets) -> bool:
    """Whether most sentences have a word outside of all entities."""
    rows = [
        n if value and OUTSIDE in value[0] else -n
        for n, value in zip(values.rows, values.values, strict=True)
    ]
    return sum(rows) > 0


def _rows_of_types(values: TagSets, parsed: dict[str, tuple[str, str]]) -> dict[str, int]:
    """How many sentences have an entity of each type."""
    rows: dict[str, int] = {}
    for value, count in zip(values.values, values.rows, strict=True):
        for kind in {parsed[tag][1] for tag in value[0]} - {""} if value else ():
            rows[kind] = rows.get(kind, 0) + count
    return rows


def _check(
    values: TagSets,
    named: Sequence[Sequence[str]],
    ids: dict[str, int],
    where: str,
    known_from: str,
    rows_of: Callable[[Sequence[int]], str],
    named_by: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Check that all names are known, else say which rows have tags that stand for others."""
    unknown = {name for (name,) in named if name not in ids}
    holders = [
        i
        for i, value in enumerate(values.values)
        if value and any(named_by.get(tag, tag) in unknown for tag in value[0])
    ]
    check_known(named, ids, where + (rows_of(holders) if holders else ""), known_from)
