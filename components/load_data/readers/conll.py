"""CoNLL files: a word a line with its tags beside it, and a blank line between sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.delimited import parse_delimiter
from kfp_finetune.components.load_data.readers.files import File
from kfp_finetune.components.load_data.readers.reading import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    Source,
    no_rows,
)
from kfp_finetune.components.load_data.readers.text_files import Text, examine, line_blocks

# As universaldependencies.org/format.html names them; FORM is the token.
_CONLLU = ("id", "tokens", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_WORD_ID = re.compile(r"[0-9]+")
_NO_WORD_ID = re.compile(r"[0-9]+[-.][0-9]+")  # several words written as one; a word left unsaid
_DOCUMENT = "-DOCSTART-"
# "# id 5 domain=x" and "# sent_id = 5" may have as many cells as a word.
_ABOUT = re.compile(r"# +(?:(?:id|newdoc|newpar)(?: |$)|\S+ *= )")
_GAP = re.compile("[ \t]+")  # not str.split(), which divides "10 000" at its no-break space
_LOOKED_AT = 1_000


@dataclass(frozen=True)
class _Layout:
    """How a file's lines are words.

    Attributes:
        text: The file.
        separator: Between the cells of a line; None for blanks and tabs.
        width: Cells of a line.
        conllu: Whether it is of Universal Dependencies.
    """

    text: Text
    separator: str | None
    width: int
    conllu: bool

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return [cell.strip(" \t") for cell in _split(line, self.separator)]

    def is_comment(self, line: str, inside: bool) -> bool:
        """Whether a line that begins with # is none of a word, inside a sentence or before one.

        It has not the cells of a word; or a sentence begins there, and it says something about it.
        """
        if not line.startswith("#"):
            return False
        if self.conllu or len(self.cells(line)) != self.width:
            return True
        return not inside and _ABOUT.match(line) is not None

    def is_word(self, line: str, inside: bool) -> bool:
        """Whether a line is a word, or is to be one."""
        if not line.strip() or self.is_comment(line, inside) or line.startswith(_DOCUMENT):
            return False
        return not (self.conllu and _NO_WORD_ID.fullmatch(self.cells(line)[0]))


def open_conll(file: File, options: ReadOptions) -> Source:
    """Open a CoNLL file. A row is a sentence, and each column a list with an item a word.

    Columns are `tokens`, `column_2` and so on, and `tags` for the last; of CoNLL-U as Universal
    Dependencies names them, with `tokens` for FORM. A line that begins with # is a comment unless
    it has as many cells as the lines of words, and is none like "# id 5" or "# text = a b" where a
    sentence begins; -DOCSTART- lines, and CoNLL-U's lines of several words and of none, are left
    out.

    Args:
        file: The file.
        options: Encoding, the delimiter (else a tab where lines have some, else white space), and
            names for the columns.

    Raises:
        InputError: If it has no words, or the names do not fit.
    """
    text = examine(file, options.encoding)
    layout = _layout(text, options)
    columns = _names(layout, options.column_names)
    rows, left_out = _count(layout)
    notes = [f"{file.name}: {what}: {count:,}" for what, count in left_out.items() if count]
    if file.format == ".tsv":
        notes.insert(0, f"{file.name} has blank lines between its lines, and is read as CoNLL")
    return Source(
        name=file.name,
        columns=columns,
        read=lambda: _read(layout, columns),
        rows=rows,
        notes=(*text.notes, *notes),
    )


def is_conll(text: Text) -> bool:
    """Whether lines stand in blocks with blank lines between, as those of words do."""
    blank = [not line.strip() for _, line in islice(_lines(text), _LOOKED_AT)]
    return (True, False) in pairwise(blank) and not blank[0]


def _lines(text: Text) -> Iterator[tuple[int, str]]:
    number = 0
    for _, lines in line_blocks(text):
        for line in lines:
            number += 1
            yield number, line


def _split(line: str, separator: str | None) -> list[str]:
    return line.split(separator) if separator else _GAP.split(line.strip(" \t"))


def _layout(text: Text, options: ReadOptions) -> _Layout:
    candidates = (line for _, line in _lines(text) if line.strip())
    first = list(islice((line for line in candidates if not line.startswith("# ")), _LOOKED_AT))
    if not first:
        raise no_rows(text.file.name, "a word and its tag a line")
    separator = "\t" if sum("\t" in line for line in first) > len(first) / 2 else None
    if options.delimiter is not None:
        separator = parse_delimiter(options.delimiter)
    widths = Counter(len(_split(line, separator)) for line in first)
    width = widths.most_common(1)[0][0]
    ids = [_split(line, separator)[0] for line in first if not line.startswith(_DOCUMENT)]
    conllu = width == len(_CONLLU) and (
        text.file.format == ".conllu"
        or all(
            _WORD_ID.fullmatch(i) or _NO_WORD_ID.fullmatch(i) for i in ids if not i.startswith("#")
        )
    )
    return _Layout(text, separator, width, conllu)


def _names(layout: _Layout, names: tuple[str, ...] | None) -> list[str]:
    if names is not None:
        if len(names) != layout.width:
            raise InputError(
                f"{len(names)} names in column_names, and the lines have {layout.width} cells",
                where=layout.text.file.name,
                expected="a name for every cell",
                remedy="--column-names " + ",".join(_usual_names(layout.width)),
            )
        return list(names)
    return list(_CONLLU) if layout.conllu else _usual_names(layout.width)


def _usual_names(width: int) -> list[str]:
    between = [f"column_{i}" for i in range(2, width)]
    return ["tokens", *between, "tags"][: max(width, 1)]


def _count(layout: _Layout) -> tuple[int, dict[str, int]]:
    """How many sentences there are, and what is no word and no blank line."""
    sentences = 0
    inside = False
    found = {
        "lines between sentences that hold white space": 0,
        "-DOCSTART- lines that are left out": 0,
        "lines of several words as one, or of a word left unsaid, that are left out": 0,
        "lines within sentences that begin with #, and are read as comments": 0,
    }
    odd, documents, no_words, comments = found
    for _, line in _lines(layout.text):
        if not line.strip():
            found[odd] += bool(line) and inside
            inside = False
        elif line.startswith(_DOCUMENT):
            found[documents] += 1
            inside = False
        elif layout.is_word(line, inside):
            sentences += not inside
            inside = True
        elif layout.is_comment(line, inside):
            found[comments] += inside
        else:
            found[no_words] += 1
    if not sentences:
        raise no_rows(layout.text.file.name, "a word and its tag a line")
    return sentences, found


def _read(layout: _Layout, columns: list[str]) -> Iterator[Batch]:
    sentences: list[list[tuple[int, str]]] = []
    for sentence in _sentences(layout):
        sentences.append(sentence)
        if len(sentences) == ROWS_PER_BATCH:
            yield _batch(layout, columns, sentences)
            sentences = []
    if sentences:
        yield _batch(layout, columns, sentences)


def _sentences(layout: _Layout) -> Iterator[list[tuple[int, str]]]:
    """The lines of each sentence's words, with their numbers."""
    words: list[tuple[int, str]] = []
    for number, line in _lines(layout.text):
        if layout.is_word(line, bool(words)):
            words.append((number, line))
        elif words and (not line.strip() or line.startswith(_DOCUMENT)):
            yield words
            words = []
    if words:
        yield words


def _batch(layout: _Layout, columns: list[str], sentences: list[list[tuple[int, str]]]) -> Batch:
    cells: dict[str, list[list[str] | None]] = {name: [] for name in columns}
    problems, places = {}, {}
    name = layout.text.file.name
    for row, sentence in enumerate(sentences):
        words = [layout.cells(line) for _, line in sentence]
        ragged = next((i for i, word in enumerate(words) if len(word) != layout.width), None)
        if ragged is not None:
            has = len(words[ragged])
            problems[row] = (
                f"a line of {has} cell{'s' * (has > 1)}, where the others have {layout.width}"
            )
            places[row] = f"{name}, line {sentence[ragged][0]:,}"
        for i, column in enumerate(columns):
            cells[column].append(None if ragged is not None else [word[i] for word in words])
    lines = [[number for number, _ in sentence] for sentence in sentences]
    return Batch(dict(cells), problems, places, name, lines)
