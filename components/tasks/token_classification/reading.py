"""What the tags of a dataset's sentences are: looked at once while the rows are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kfp_finetune.components.counts import counted
from kfp_finetune.components.tasks.label_names import name_of
from kfp_finetune.components.tasks.token_classification.tags import (
    canonical,
    is_foreign,
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
            found = violations(list(map(canonical, names)))
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
            return f"{counted(len(tags), 'tag')} for {counted(len(words), 'word')}"
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
        spelled: Tags of entities as they are in that scheme, by how the data spells them.
    """

    def __init__(
        self,
        names: TagNames,
        ids: dict[str, int],
        scheme: str | None,
        *,
        mend: bool,
        spelled: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._spelled = spelled
        self._names, self._ids, self._scheme, self._mend = names, ids, scheme, mend
        self._left_out: list[int] = []  # appended to by several threads

    @property
    def words_left_out(self) -> int:
        """How many words without a character were left out so far."""
        return sum(self._left_out)

    def read(self, words: list[str], tags: list[Any]) -> tuple[list[str], list[int]]:
        """The words and the ids of their tags."""
        names = self._names.of(tags)
        if self._mend:
            kept = [i for i, word in enumerate(words) if word.strip()]
            if len(kept) < len(words):
                self._left_out.append(len(words) - len(kept))
            words, names = [words[i] for i in kept], [names[i] for i in kept]
        if self._scheme is not None:
            names = to_iob2([self._spelled[name] for name in names])
        return words, [self._ids[name] for name in names]

    def wrong_word(self, tags: list[Any]) -> int:
        """The first word whose tag the scheme does not allow; 0 where there is none."""
        names = self._names.of(tags)
        if self._scheme is None:
            return next((i for i, name in enumerate(names) if name not in self._ids), 0)
        names = [self._spelled[name] for name in names]
        for i, name in enumerate(names):
            if is_foreign(name):
                return i
        return violations(names).get(self._scheme or "", (0, ""))[0]


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
