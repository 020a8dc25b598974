"""What the tags of a dataset's sentences are: looked at once while the rows are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_names import by_number_then_name, check_known, name_of
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.problem_types import ENTITIES, TAGS
from kfp_finetune.components.tasks.token_classification.tags import (
    IOB2,
    OUTSIDE,
    find_scheme,
    iob2_names,
    mark_entities,
    parse,
    to_iob2,
    violations,
)
from kfp_finetune.components.tasks.values import LabelValues, kind_of

_MOST_TAGS = 2_000


class TagSets(LabelValues):
    """Numbers the different sets of tags that sentences have, with what is wrong with their order.

    Args:
        known: The names of tags that are given as numbers.
        mend: Whether words without a character are left out, and tags that are out of order mended.
    """

    def __init__(self, known: Sequence[str], *, mend: bool) -> None:
        super().__init__()
        self.mend = mend
        self.names = TagNames(known)
        self.rows: list[int] = []  # how many rows have each value
        self.wrong: Counter[str] = Counter()  # how many violate each scheme
        self._of_key: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of the set of a sentence's tags."""
        key = None
        if isinstance(value, list) and not any(_tag_problem(tag) for tag in value):
            names = self.names.of(value)
            found = violations(names)
            self.wrong.update(list(found))
            key = frozenset(names), tuple((scheme, said) for scheme, (_, said) in found.items())
        number = self._of_key.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(key)
            self.rows.append(0)
        self.rows[number] += 1
        return number

    def problems(
        self, columns: Sequence[str], cells: Sequence[list[Any]], labels: Sequence[Any]
    ) -> dict[int, tuple[str, int]]:
        """Which rows of a batch are no list of words with a list of as many tags."""
        (column,), (sentences,) = columns, cells
        found = {}
        for i, (words, tags) in enumerate(zip(sentences, labels, strict=True)):
            problem = _list_problem(words, column) or self._problem(words, tags)
            if problem:
                found[i] = problem if isinstance(problem, tuple) else (problem, 0)
        return found

    def _problem(self, words: list[Any], tags: Any) -> str | tuple[str, int]:
        empty = 0
        for k, word in enumerate(words):
            if type(word) is not str:
                return f"{kind_of(word)} for a word", k
            if not word.strip():
                if not self.mend:
                    return "a word without a character", k
                empty += 1
        if empty == len(words):
            return "no word"
        if tags is None:
            return "no tags"
        if not isinstance(tags, list):
            return f"{kind_of(tags)} for a list of tags"
        if len(tags) != len(words):
            return f"{len(tags)} tags for {len(words)} words"
        return next(((p, k) for k, tag in enumerate(tags) if (p := _tag_problem(tag))), "")

    def too_many(self, example: Any) -> str:
        """What is too much of for tags; empty where nothing is."""
        many = len(self.names) > _MOST_TAGS
        return f"more than {_MOST_TAGS:,} different tags" if many else ""


class TagNames:
    """The names of tags, each looked up once.

    Args:
        known: What numbers count, from 0.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known
        self._names: dict[Any, str] = {}

    def __len__(self) -> int:
        """How many different ones there have been."""
        return len(self._names)

    def of(self, tags: Sequence[Any]) -> list[str]:
        """The names of a sentence's tags.

        Raises:
            InputError: If a number has no name.
        """
        try:
            return [self._names[tag] for tag in tags]
        except KeyError:
            for tag in tags:
                self._names[tag] = name_of(tag, self._known, "the tags")
            return [self._names[tag] for tag in tags]


class TagReader:
    """Reads the words and the ids of the tags off a row.

    Args:
        names: Of tags as the data has them.
        ids: Of tags as the model has them.
        scheme: That the data's tags are of; None where they mark no entities.
        mend: Whether words without a character are left out.
    """

    def __init__(
        self, names: TagNames, ids: dict[str, int], scheme: str | None, *, mend: bool
    ) -> None:
        self._names, self._ids, self._scheme, self._mend = names, ids, scheme, mend

    def read(self, words: list[str], tags: list[Any]) -> tuple[list[str], list[int]]:
        """The words and the ids of their tags."""
        names = self._names.of(tags)
        if self._mend:
            kept = [i for i, word in enumerate(words) if word.strip()]
            words, names = [words[i] for i in kept], [names[i] for i in kept]
        if self._scheme is not None:
            names = to_iob2(names)
        return words, [self._ids[name] for name in names]

    def wrong_word(self, tags: list[Any]) -> int:
        """The first word whose tag the scheme does not allow; 0 where there is none."""
        names = self._names.of(tags)
        for i, name in enumerate(names):
            if _is_foreign(name):
                return i
        return violations(names).get(self._scheme or "", (0, ""))[0]


def understand_tags(
    values: TagSets,
    problem_type: str,
    *,
    columns: Sequence[str] = ("tags",),
    declared: Sequence[str] | None = None,
    known: Sequence[str] | None = None,
    known_from: str = "--label-names",
    rows_of: Callable[[Sequence[int]], str] = lambda numbers: "",
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
    if all(letter == OUTSIDE for letter, _ in parsed.values()):
        raise InputError(
            f"no tag marks an entity: {', '.join(map(repr, seen[:5]))}",
            where=where,
            expected="tags of a letter and a type, such as B-person, and O",
            remedy=f"--problem-type {TAGS}, or name another --label-column",
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
        if foreign := sorted(filter(_is_foreign, tags)):
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


def _is_foreign(tag: str) -> bool:
    """Whether it is no tag of any scheme."""
    return tag != OUTSIDE and parse(tag)[0] == OUTSIDE


def _list_problem(words: Any, column: str) -> str:
    if words is None:
        return f"no words in column '{column}'"
    if not isinstance(words, list):
        return f"{kind_of(words)} for a list of words in column '{column}'"
    return "" if words else "no word"


def _tag_problem(tag: Any) -> str:
    if tag is None or (isinstance(tag, str) and not tag.strip()):
        return "a word without a tag"
    return "" if type(tag) in (str, int) else f"{kind_of(tag)} for a tag"
