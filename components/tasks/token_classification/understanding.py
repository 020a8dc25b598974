"""Understand the tags of a dataset: whether they mark entities, of which types, in which scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import by_number_then_name, check_known, is_whole
from kfp_finetune.components.tasks.label_spelling import warn_of_spelling
from kfp_finetune.components.tasks.labels import FLAG, LabelContext, Labels
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, TAGS
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


def understand_tags(values: TagSets, problem_type: str, context: LabelContext) -> Labels:
    """Find the meaning of every distinct set of tags.

    Args:
        values: The sets of tags of all sentences.
        problem_type: One of token classification's, or "auto".
        context: Where the tags come from.

    Returns:
        For entities the tags of IOB2, O first and then by type, whatever scheme the data has; else
        the tags as they are. The target of a set of tags is the ids of its tags; for entities, of
        its tags that begin one.

    Raises:
        InputError: If a tag is not known, or nothing can be learned from the tags.
    """
    seen = sorted({tag for value in values.values if value for tag in value[0]})
    if problem_type == "auto":
        entities = mark_entities(seen) or (are_types(seen) and _mostly_outside(values))
        problem_type = ENTITIES if entities else TAGS
    if problem_type == TAGS:
        return _tags(values, seen, context)
    return _entities(values, seen, context)


def _tags(values: TagSets, seen: list[str], context: LabelContext) -> Labels:
    """Tags that are learned as they are."""
    untagged = {_NO_TAG} - set(context.listed)
    seen = [tag for tag in seen if tag not in untagged]
    if not context.known and len(seen) < 2:
        raise InputError(
            f"every word has the same tag: {(seen or [_NO_TAG])[0]!r}",
            where=context.where,
            expected="at least two different tags",
            remedy="name another --label-column, or data with more tags",
        )
    names = context.listed or sorted(seen, key=by_number_then_name)
    ids = {name: i for i, name in enumerate(names)}
    _check(values, {tag: tag for tag in seen}, ids, context)
    targets: list[Any] = [
        None if v is None else sorted(ids[tag] for tag in v[0] if tag not in untagged)
        for v in values.values
    ]
    invalid = {
        i: f"a word without a tag: {_NO_TAG!r} stands for none"
        for i, value in enumerate(values.values)
        if value and untagged & value[0]
    }
    reader = TagReader(values.names, ids, None, repair=values.repair)
    note = f"every word has one of {len(names)} tags"
    warnings = [] if context.known else _warnings(seen, values)
    return Labels(TAGS, names, targets, note, invalid, warnings, reader)


def _warnings(seen: list[str], values: TagSets) -> list[str]:
    """Other meanings that tags may have that are learned as they are."""
    warnings = []
    if all(map(is_whole, seen)):
        warnings.append(
            f"the tags are the numbers {', '.join(seen[:5])}{', ...' * (len(seen) > 5)} without"
            " names, and are scored word by word; if they mark entities, list their names from 0,"
            " one per line: --label-names FILE"
        )
    elif alike := look_like_entities(seen):
        others = [tag for tag in seen if tag not in alike]
        warnings.append(
            f"tags such as {alike[0]!r} look like tags of entities, but"
            f" {', '.join(map(repr, others[:3]))} does not: every tag is learned as it is; if they"
            f" mark entities, fix the others, or --problem-type {ENTITIES}"
        )
    rows = {
        tag: sum(n for n, v in zip(values.rows, values.values, strict=True) if v and tag in v[0])
        for tag in seen
    }
    return warnings + warn_of_spelling(rows)


def _entities(values: TagSets, seen: Sequence[str], context: LabelContext) -> Labels:
    """Tags that mark entities, which are learned as IOB2."""
    spelled = spelling(seen)
    parsed = {tag: parse(spelled[tag]) for tag in seen}
    _check_any_entity(seen, spelled, parsed, context)
    types = dict.fromkeys(kind for tag in context.listed if (kind := parse(canonical(tag))[1]))
    names = iob2_names(types or sorted({kind for _, kind in parsed.values() if kind}))
    if sorted(names) == sorted(context.listed):
        names = context.listed
    ids = {name: i for i, name in enumerate(names)}
    begins = {tag: f"B-{kind}" for tag, (_, kind) in parsed.items() if kind}
    _check(values, begins, ids, context)
    scheme = find_scheme((letter for letter, _ in parsed.values()), values.wrong)
    targets: list[Any] = [
        None if value is None else sorted({ids[begins[tag]] for tag in value[0] if tag in begins})
        for value in values.values
    ]
    invalid, repaired = _out_of_order(values, scheme, spelled)
    note = f"the tags mark entities of {counted((len(names) - 1) // 2, 'type')}, as {scheme}"
    note += " (written as IOB2)" * (scheme != IOB2)
    if other := {tag: name for tag, name in spelled.items() if tag != name}:
        shown = ", ".join(f"{tag!r} as {name}" for tag, name in list(other.items())[:4])
        note += f"; read {shown}" + ", ..." * (len(other) > 4)
    if repaired:
        note += f"; repaired the order of the tags in {counted(repaired, 'sentence')}"
    reader = TagReader(values.names, ids, scheme, repair=values.repair, spelled=spelled)
    warnings = [] if context.listed else warn_of_spelling(_rows_of_types(values, parsed))
    if are_types(seen):
        warnings.append(
            "the tags are types without letters: adjacent words of one type are read as one entity;"
            f" if the tags mark no entities: --problem-type {TAGS}"
        )
    return Labels(ENTITIES, names, targets, note, invalid, warnings, reader)


def _check_any_entity(
    seen: Sequence[str],
    spelled: Mapping[str, str],
    parsed: Mapping[str, tuple[str, str]],
    context: LabelContext,
) -> None:
    """Check that some tag marks an entity, except in data to score a model on."""
    none = all(letter == OUTSIDE for letter, _ in parsed.values())
    if none and not (context.listed and set(spelled.values()) == {OUTSIDE}):
        raise InputError(
            f"no tag marks an entity: {', '.join(map(repr, seen[:5]))}",
            where=context.where,
            expected="tags of a letter and a type, such as B-person, and O",
            remedy=f"--problem-type {TAGS}, or name another --label-column"
            if context.known_from == FLAG
            else context.known_from,
        )


def _out_of_order(
    values: TagSets, scheme: str, spelled: Mapping[str, str]
) -> tuple[dict[int, str], int]:
    """Why sets of tags are invalid, by position, and the number of sentences that are repaired."""
    invalid: dict[int, str] = {}
    repaired = 0
    for i, value in enumerate(values.values):
        if value is None:
            continue
        tags, found = value
        violation = dict(found).get(scheme)
        if foreign := sorted(tag for tag in tags if is_foreign(spelled[tag])):
            invalid[i] = f"the tag {foreign[0]!r}, which is neither O nor a letter and a type"
        elif violation and values.repair:
            repaired += values.rows[i]
        elif violation:
            invalid[i] = f"tags that are not {scheme}: {violation}"
    return invalid, repaired


def _mostly_outside(values: TagSets) -> bool:
    """Return True if most sentences have a word outside of all entities."""
    rows = [
        n if value and OUTSIDE in value[0] else -n
        for n, value in zip(values.rows, values.values, strict=True)
    ]
    return sum(rows) > 0


def _rows_of_types(values: TagSets, parsed: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """The number of sentences with an entity of each type."""
    rows: dict[str, int] = {}
    for value, count in zip(values.values, values.rows, strict=True):
        for kind in {parsed[tag][1] for tag in value[0]} - {""} if value else ():
            rows[kind] = rows.get(kind, 0) + count
    return rows


def _check(
    values: TagSets, label_of: Mapping[str, str], ids: dict[str, int], context: LabelContext
) -> None:
    """Check that all labels are known; the error names the rows that hold others.

    Args:
        values: The sets of tags.
        label_of: The label of each tag.
        ids: The id of every known label.
        context: Where the tags come from.

    Raises:
        InputError: If a label is not known.
    """
    unknown = {tag for tag, label in label_of.items() if label not in ids}
    holders = [i for i, value in enumerate(values.values) if value and unknown & value[0]]
    named = [[label] for label in label_of.values()]
    check_known(named, ids, context.refused_at(holders), context.known_from)
