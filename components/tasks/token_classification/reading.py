"""Read the tags of sentences: each distinct set of tags is looked at once."""

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
    """Numbers the distinct sets of tags of sentences, with the violations in their order.

    Args:
        known: The names that whole numbers refer to.
        repair: Whether empty words are dropped, and tags that are out of order repaired.
    """

    def __init__(self, known: Sequence[str], *, repair: bool) -> None:
        super().__init__()
        self.repair = repair
        self.names = TagNames(known)
        self.rows: list[int] = []  # number of rows with each value
        self.wrong: Counter[str] = Counter()  # number of violations of each scheme
        self._of_key: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of the set of a sentence's tags, with its violations."""
        key = None
        if isinstance(value, list) and not any(_tag_problem(tag) for tag in value):
            names = self.names.of(value)
            found = violations(list(map(canonical, names)))
            self.wrong.update(list(found))
            key = frozenset(names), tuple((scheme, text) for scheme, (_, text) in found.items())
        number = self._of_key.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(key)
            self.rows.append(0)
        self.rows[number] += 1
        return number

    def problems(
        self, columns: Sequence[str], cells: Sequence[list[Any]], labels: Sequence[Any]
    ) -> dict[int, tuple[str, int]]:
        """Find the rows of a batch that are not a list of words with a list of as many tags."""
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
                return f"{kind_of(word)} instead of a word", k
            if not word.strip():
                if not self.repair:
                    return "an empty word", k
                empty += 1
        if empty == len(words):
            return "no word"
        if tags is None:
            return "no tags"
        if not isinstance(tags, list):
            return f"{kind_of(tags)} instead of a list of tags"
        if len(tags) != len(words):
            return f"{counted(len(tags), 'tag')} for {counted(len(words), 'word')}"
        return next(((p, k) for k, tag in enumerate(tags) if (p := _tag_problem(tag))), "")

    def too_many(self, example: Any) -> str:
        """A description of too many distinct tags; empty if there are not too many."""
        many = len(self.names) > _MOST_TAGS
        return f"more than {_MOST_TAGS:,} different tags" if many else ""


class TagNames:
    """The names of tags, each looked up once.

    Args:
        known: The names that whole numbers refer to, from 0.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known
        self._names: dict[Any, str] = {}

    def __len__(self) -> int:
        """The number of distinct tags so far."""
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
    """Reads the words of a row and the ids of their tags.

    Args:
        names: Names of the data's tags.
        ids: Ids of the model's tags.
        scheme: The scheme of the data's tags; None if they mark no entities.
        repair: Whether empty words are dropped.
        spelled: For each tag of the data its usual spelling, for entities.
    """

    def __init__(
        self,
        names: TagNames,
        ids: dict[str, int],
        scheme: str | None,
        *,
        repair: bool,
        spelled: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._spelled = spelled
        self._names, self._ids, self._scheme, self._repair = names, ids, scheme, repair
        self._dropped: list[int] = []  # appended to by several threads

    @property
    def words_dropped(self) -> int:
        """The number of empty words dropped so far."""
        return sum(self._dropped)

    def read(self, words: list[str], tags: list[Any]) -> tuple[list[str], list[int]]:
        """The words of a row, and the ids of their tags."""
        names = self._names.of(tags)
        if self._repair:
            kept = [i for i, word in enumerate(words) if word.strip()]
            if len(kept) < len(words):
                self._dropped.append(len(words) - len(kept))
            words, names = [words[i] for i in kept], [names[i] for i in kept]
        if self._scheme is not None:
            names = to_iob2([self._spelled[name] for name in names])
        return words, [self._ids[name] for name in names]

    def wrong_word(self, tags: list[Any]) -> int:
        """The position of the first word whose tag the scheme does not allow; 0 if none."""
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
        return f"{kind_of(words)} instead of a list of words in column '{column}'"
    return "" if words else "no word"


def _tag_problem(tag: Any) -> str:
    if tag is None or (isinstance(tag, str) and not tag.strip()):
        return "a word without a tag"
    return "" if type(tag) in (str, int) else f"{kind_of(tag)} instead of a tag"
