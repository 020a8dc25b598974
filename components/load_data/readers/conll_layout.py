"""The layout of a CoNLL file: which lines are words, and the names of their cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.delimiters import parse_delimiter
from kfp_finetune.components.load_data.readers.source import ReadOptions, no_rows, unique_names
from kfp_finetune.components.load_data.readers.text_files import Text, line_blocks
from kfp_finetune.components.tasks.registry import task_of_layout

# The names on universaldependencies.org/format.html; FORM is the token.
_CONLLU = ("id", "tokens", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_WORD_ID = re.compile(r"[0-9]+")
_NO_WORD_ID = re.compile(r"[0-9]+[-.][0-9]+")  # a multiword token; an empty node
DOCUMENT = "-DOCSTART-"
# "# id 5 domain=x" and "# sent_id = 5" may have as many cells as a word.
_ABOUT = re.compile(r"# +(?:(?:id|newdoc|newpar)(?: |$)|\S+ *= )")
_GAP = re.compile("[ \t]+")  # not str.split(), which splits "10 000" at its no-break space
_LOOKED_AT = 1_000
# The cells of a line that names the columns.
_WORD_NAMES = {"form", "token", "tokens", "word", "words", "text"}
_TAG_NAMES = {
    *("tag", "tags", "ner", "ner_tag", "ner_tags", "pos", "pos_tag", "pos_tags", "label", "labels"),
    *("upos", "upostag", "xpos", "xpostag", "chunk", "chunk_tag", "chunk_tags", "iob", "bio"),
}
_OTHER_NAMES = {
    *("id", "lemma", "feats", "head", "deprel", "deps", "misc", "sentence", "sentence_id", "#"),
}
_INDEX = "id"
_ENOUGH_WORDS, _TIMES_MORE_WORDS = 50, 5  # more different words than different tags


@dataclass(frozen=True)
class Layout:
    """The layout of a file's lines.

    Attributes:
        text: The file.
        separator: The separator of cells; None for blanks and tabs.
        width: Number of cells per line.
        conllu: True for CoNLL-U, the format of Universal Dependencies.
        indexed: True if the first cell counts the words of a sentence.
        header: The cells of the line that names the columns; empty if there is no such line.
        swapped: True if the tags are before the words.
    """

    text: Text
    separator: str | None
    width: int
    conllu: bool
    indexed: bool = False
    header: tuple[str, ...] = ()
    swapped: bool = False

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return [cell.strip(" \t") for cell in _split(line, self.separator)]

    def is_comment(self, line: str, inside: bool) -> bool:
        """Return True for a line that begins with # and is not a word.

        It has another number of cells than a word, or it describes the sentence that follows.
        """
        if not line.startswith("#"):
            return False
        if self.conllu or len(self.cells(line)) != self.width:
            return True
        return not inside and _ABOUT.match(line) is not None

    def is_word(self, line: str, inside: bool) -> bool:
        """Return True if a line is a word, perhaps with a wrong number of cells."""
        if not line.strip() or self.is_comment(line, inside) or line.startswith(DOCUMENT):
            return False
        if self.is_header(line):
            return False
        return not (self.conllu and _NO_WORD_ID.fullmatch(self.cells(line)[0]))

    def is_header(self, line: str) -> bool:
        """Return True if a line names the columns."""
        return bool(self.header) and tuple(self.cells(line)) == self.header


def lines_of(text: Text) -> Iterator[tuple[int, str]]:
    """The lines of a file, with their numbers."""
    number = 0
    for _, lines in line_blocks(text):
        for line in lines:
            number += 1
            yield number, line


def _split(line: str, separator: str | None) -> list[str]:
    return line.split(separator) if separator else _GAP.split(line.strip(" \t"))


def find_layout(text: Text, options: ReadOptions) -> Layout:
    """Detect the layout of a file.

    Args:
        text: The file.
        options: Only the delimiter is used.

    Raises:
        InputError: If the file has no lines.
    """
    candidates = (line for _, line in lines_of(text) if line.strip())
    first = list(islice((line for line in candidates if not line.startswith("# ")), _LOOKED_AT))
    if not first:
        raise no_rows(text.file.name, "one word and its tag per line")
    separator = "\t" if sum("\t" in line for line in first) > len(first) / 2 else None
    if options.delimiter is not None:
        separator = parse_delimiter(options.delimiter)
    widths = Counter(len(_split(line, separator)) for line in first)
    width = widths.most_common(1)[0][0]
    words = [line for line in first if not line.startswith(DOCUMENT)]
    header = tuple(cell.strip(" \t") for cell in _split(words[0], separator)) if words else ()
    if not _are_names(header) or len(header) != width:
        header = ()
    ids = [_split(line, separator)[0] for line in words[bool(header) :]]
    conllu = width == len(_CONLLU) and (
        text.file.format == ".conllu"
        or all(
            _WORD_ID.fullmatch(i) or _NO_WORD_ID.fullmatch(i) for i in ids if not i.startswith("#")
        )
    )
    layout = Layout(text, separator, width, conllu, header=header)
    layout = replace(layout, indexed=not conllu and width > 1 and _is_indexed(layout))
    return replace(layout, swapped=not conllu and not header and _is_swapped(layout))


def _are_names(cells: tuple[str, ...]) -> bool:
    """Return True if the cells name columns, including one of words and one of tags."""
    names = {cell.lower().lstrip("# ") or "#" for cell in cells}
    known = names <= _WORD_NAMES | _TAG_NAMES | _OTHER_NAMES
    return known and bool(names & _WORD_NAMES) and bool(names & _TAG_NAMES)


def _is_indexed(layout: Layout) -> bool:
    """Return True if the first cells of every sentence count 1, 2, 3 ..., or from 0."""
    longest = 0
    for sentence in islice(sentences_of(layout), _LOOKED_AT // 10):
        ids = [layout.cells(line)[0] for _, line in sentence]
        if not ids[0].isascii() or ids[0] not in ("0", "1"):
            return False
        if ids != [str(i) for i in range(int(ids[0]), int(ids[0]) + len(ids))]:
            return False
        longest = max(longest, len(ids))
    return longest > 1


def _is_swapped(layout: Layout) -> bool:
    """Return True if the first of two columns has the tags, and the second has the words."""
    first = 1 if layout.indexed else 0
    if layout.width != first + 2:
        return False
    lines = chain.from_iterable(islice(sentences_of(layout), _LOOKED_AT // 10))
    cells = [layout.cells(line) for _, line in lines]
    cells = [row for row in cells if len(row) == layout.width]
    one, two = {row[first] for row in cells}, {row[-1] for row in cells}
    recognizes = task_of_layout("conll").recognizes
    if recognizes(one) != recognizes(two):
        return recognizes(one)
    return len(cells) >= _ENOUGH_WORDS and _TIMES_MORE_WORDS * len(one) < len(two)


def names_of(layout: Layout, names: tuple[str, ...] | None) -> list[str]:
    """The names of the columns: the user's, the header's, or the usual ones.

    Args:
        layout: The layout of the file.
        names: The user's column names.

    Raises:
        InputError: If the number of names is not the number of cells.
    """
    if names is not None:
        if len(names) != layout.width:
            raise InputError(
                f"column_names has {len(names)} names, but the lines have {layout.width} cells",
                where=layout.text.file.name,
                expected="one name per cell",
                remedy="--column-names " + ",".join(_usual_names(layout)),
            )
        return list(names)
    if layout.header:
        return unique_names(list(layout.header), layout.text.file.name)[0]
    return list(_CONLLU) if layout.conllu else _usual_names(layout)


def _usual_names(layout: Layout) -> list[str]:
    first = [_INDEX, "tokens"] if layout.indexed else ["tokens"]
    between = [f"column_{i}" for i in range(len(first) + 1, layout.width)]
    names = [*first, *between, "tags"][: max(layout.width, 1)]
    return [*names[:-2], *reversed(names[-2:])] if layout.swapped else names


def sentences_of(layout: Layout) -> Iterator[list[tuple[int, str]]]:
    """The words' lines of each sentence, with their line numbers."""
    words: list[tuple[int, str]] = []
    for number, line in lines_of(layout.text):
        if layout.is_word(line, bool(words)):
            words.append((number, line))
        elif words and (not line.strip() or line.startswith(DOCUMENT)):
            yield words
            words = []
    if words:
        yield words
