"""CoNLL files: one word and its tags per line, and a blank line between sentences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

from kfp_finetune.components.load_data.readers.conll_layout import (
    DOCUMENT,
    Layout,
    find_layout,
    lines_of,
    names_of,
    sentences_of,
)
from kfp_finetune.components.load_data.readers.source import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    Source,
    no_rows,
)
from kfp_finetune.components.load_data.readers.text_files import Text, examine
from kfp_finetune.components.storage.files import File

_LOOKED_AT = 1_000


def open_conll(file: File, options: ReadOptions) -> Source:
    """Open a CoNLL file. A row is a sentence, and each column is a list with one item per word.

    Unless the first line names the columns, they are `tokens`, `column_2` and so on, and `tags` for
    the last. The columns of CoNLL-U have their names in Universal Dependencies, with `tokens` for
    FORM. If the first column counts the words of every sentence, it is `id`, and the next one is
    `tokens`. A line that begins with # is a comment if it has another number of cells than the
    lines of words, or if it is like "# id 5" or "# text = a b" before a sentence. -DOCSTART- lines
    and CoNLL-U's lines for multiword tokens and empty nodes are omitted.

    Args:
        file: The file.
        options: Encoding, delimiter (default: a tab if most lines have one, else white space), and
            column names.

    Raises:
        InputError: If the file has no words, or the column names do not fit.
    """
    text = examine(file, options.encoding)
    layout = find_layout(text, options)
    columns = names_of(layout, options.column_names)
    rows, left_out = _count(layout)
    notes = [f"{file.name}: {what}: {count:,}" for what, count in left_out.items() if count]
    if layout.indexed and options.column_names is None:
        notes.append(f"{file.name}: the first column numbers the words and is called id")
    if layout.swapped and options.column_names is None:
        notes.append(f"{file.name}: the tags are before the words")
    if file.format == ".tsv":
        notes.insert(0, f"{file.name} has blank lines between blocks of lines: read as CoNLL")
    return Source(
        name=file.name,
        columns=columns,
        read=lambda: _read(layout, columns),
        rows=rows,
        notes=(*text.notes, *notes),
    )


def is_conll(text: Text) -> bool:
    """Return True if blank lines separate blocks of lines, as in files of tagged words."""
    blank = [not line.strip() for _, line in islice(lines_of(text), _LOOKED_AT)]
    return (True, False) in pairwise(blank) and not blank[0]


def _count(layout: Layout) -> tuple[int, dict[str, int]]:
    """Count the sentences, and the lines that are neither words nor blank, by kind."""
    sentences = 0
    inside = False
    found = {
        "lines between sentences that contain only white space": 0,
        "-DOCSTART- lines omitted": 0,
        "lines of multiword tokens and empty nodes omitted": 0,
        "lines within sentences that begin with # and are read as comments": 0,
        "lines that name the columns": 0,
    }
    odd, documents, no_words, comments, headers = found
    for _, line in lines_of(layout.text):
        if not line.strip():
            found[odd] += bool(line) and inside
            inside = False
        elif line.startswith(DOCUMENT):
            found[documents] += 1
            inside = False
        elif layout.is_word(line, inside):
            sentences += not inside
            inside = True
        elif layout.is_header(line):
            found[headers] += 1
        elif layout.is_comment(line, inside):
            found[comments] += inside
        else:
            found[no_words] += 1
    if not sentences:
        raise no_rows(layout.text.file.name, "one word and its tag per line")
    return sentences, found


def _read(layout: Layout, columns: list[str]) -> Iterator[Batch]:
    sentences: list[list[tuple[int, str]]] = []
    for sentence in sentences_of(layout):
        sentences.append(sentence)
        if len(sentences) == ROWS_PER_BATCH:
            yield _batch(layout, columns, sentences)
            sentences = []
    if sentences:
        yield _batch(layout, columns, sentences)


def _batch(layout: Layout, columns: list[str], sentences: list[list[tuple[int, str]]]) -> Batch:
    cells: dict[str, list[list[str] | None]] = {name: [] for name in columns}
    problems, places = {}, {}
    name = layout.text.file.name
    for row, sentence in enumerate(sentences):
        words = [layout.cells(line) for _, line in sentence]
        ragged = next((i for i, word in enumerate(words) if len(word) != layout.width), None)
        if ragged is not None:
            has = len(words[ragged])
            problems[row] = (
                f"a line of {has} cell{'s' * (has > 1)}, but the other lines have {layout.width}"
            )
            places[row] = f"{name}, line {sentence[ragged][0]:,}"
        for i, column in enumerate(columns):
            cells[column].append(None if ragged is not None else [word[i] for word in words])
    lines = [[number for number, _ in sentence] for sentence in sentences]
    return Batch(dict(cells), problems, places, name, lines)
