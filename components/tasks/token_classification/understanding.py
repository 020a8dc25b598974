"""What the tags of a dataset mean: which mark entities, of which types, in which scheme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import by_number_then_name, check_known
from kfp_finetune.components.tasks.labels import FLAG, Labels
from kfp_finetune.components.tasks.problem_types import ENTITIES, TAGS
from kfp_finetune.components.tasks.token_classification.reading import TagReader, TagSets
from kfp_finetune.components.tasks.token_classification.tags import (
    IOB2,
    OUTSIDE,
    find_scheme,
    iob2_names,
    is_foreign,
    mark_entities,
    parse,
)


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
        problem_type = ENTITIES if mark_entities(seen) else TAGS
    listed = list(known or declared or ())
    if problem_type == TAGS:
        if not known and len(seen) == 1:
            raise InputError(
                f"every word has the same tag: {seen[0]!r}",
                where=where,
                expected="at least two different tags",
                remedy="name another --label-column, or data with more tags",
            )
        names = listed or sorted(seen, key=by_number_then_name)
        ids = {name: i for i, name in enumerate(names)}
        _check(values, [[tag] for tag in seen], ids, where, known_from, rows_of)
        targets: list[Any] = [
            None if v is None else sorted(ids[tag] for tag in v[0]) for v in values.values
        ]
        reader = TagReader(values.names, ids, None, mend=values.mend)
        note = f"every word has one of {len(names)} tags"
        return Labels(TAGS, names, targets, note, of_words=reader)
    return _entities(values, seen, listed, where, known_from, rows_of)


def _entities(
    values: TagSets,
    seen: Sequence[str],
    listed: Sequence[str],
    where: str,
    known_from: str,
    rows_of: Callable[[Sequence[int]], str],
) -> Labels:
    parsed = {tag: parse(tag) for tag in seen}
    without = all(letter == OUTSIDE for letter, _ in parsed.values())
    if without and not (listed and seen == [OUTSIDE]):  # data to score a model on may have none
        raise InputError(
            f"no tag marks an entity: {', '.join(map(repr, seen[:5]))}",
            where=where,
            expected="tags of a letter and a type, such as B-person, and O",
            remedy=f"--problem-type {TAGS}, or name another --label-column"
            if known_from == FLAG
            else known_from,
        )
    types = dict.fromkeys(kind for tag in listed if (kind := parse(tag)[1]))
    names = iob2_names(types or sorted({kind for _, kind in parsed.values() if kind}))
    if sorted(names) == sorted(listed):
        names = list(listed)
    ids = {name: i for i, name in enumerate(names)}
    begins = {tag: f"B-{kind}" for tag, (_, kind) in parsed.items() if kind}
    _check(values, [[b] for b in begins.values()], ids, where, known_from, rows_of)
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
        if foreign := sorted(filter(is_foreign, tags)):
            invalid[i] = f"the tag {foreign[0]!r}, which is neither O nor of a letter and a type"
        elif said and values.mend:
            mended += values.rows[i]
        elif said:
            invalid[i] = f"tags that are not {scheme}: {said}"
    number = f"{(len(names) - 1) // 2} type{'s' * (len(names) > 3)}"
    note = f"the tags mark entities of {number}, as {scheme}"
    note += " (written as IOB2)" * (scheme != IOB2)
    if mended:
        note += f"; of {mended:,} sentence{'s' * (mended > 1)} they were not valid, and are mended"
    reader = TagReader(values.names, ids, scheme, mend=values.mend)
    return Labels(ENTITIES, names, targets, note, invalid, reader)


def _check(
    values: TagSets,
    named: Sequence[Sequence[str]],
    ids: dict[str, int],
    where: str,
    known_from: str,
    rows_of: Callable[[Sequence[int]], str],
) -> None:
    """Check that all names are known, else say which rows have those that are not."""
    unknown = {name for (name,) in named if name not in ids}
    holders = [
        i
        for i, value in enumerate(values.values)
        if value and any(tag in unknown or f"B-{parse(tag)[1]}" in unknown for tag in value[0])
    ]
    check_known(named, ids, where + (rows_of(holders) if holders else ""), known_from)
