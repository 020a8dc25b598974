"""Texts alone, to predict for: from columns of a file, or one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.files import File
from kfp_finetune.components.load_data.readers.text_files import examine, line_blocks
from kfp_finetune.components.load_data.sources import Source, open_source

Texts = Iterator[str | tuple[str, str] | list[str]]


def read_texts(file: str, columns: Sequence[str], *, of_words: bool = False) -> Texts:
    """The texts of a file, in order; few of them are in memory at a time.

    Args:
        file: Anything that load_data reads, or a .txt file with a text a line.
        columns: The column of the text, or the two of a pair. A file with no more columns than
            that may call them differently.
        of_words: Whether lists of words will do, too.

    Raises:
        InputError: If the file cannot be read, a column is not there, or a row has no text.
    """
    lines = File(Path(file), file)
    if lines.format == ".txt" and lines.path.is_file():
        text = examine(lines, None)
        blocks = (block for _, block in line_blocks(text))
        return of_lines((line for block in blocks for line in block), file, len(columns) == 2)
    source = open_source(file)
    return _of_columns(source, _find(source, columns), of_words)


def of_lines(lines: Iterable[str], name: str, pairs: bool) -> Texts:
    """The text of each line, or the two texts with a tab between.

    Args:
        lines: Without their ends.
        name: What they are called in messages.
        pairs: Whether there are two texts a line.

    Raises:
        InputError: If a line is blank, or has not two texts.
    """
    for number, line in enumerate(lines, start=1):
        parts = line.split("\t", 1) if pairs else [line]
        if len(parts) != 1 + pairs or not all(part.strip() for part in parts):
            raise InputError(
                f"the line holds one text: {line[:40]!r}" if line.strip() else "the line is blank",
                where=f"{name}, line {number:,}",
                expected="two texts with a tab between" if pairs else "a text in every line",
                remedy="mend the line, or leave it out",
            )
        yield (parts[0], parts[1]) if pairs else line


def _find(source: Source, columns: Sequence[str]) -> list[str]:
    missing = [name for name in columns if name not in source.columns]
    if missing and len(source.columns) == len(columns):
        return source.columns
    if missing:
        flag = "--text-column" if missing[0] == columns[0] else "--text-pair-column"
        raise InputError(
            f"there is no column '{missing[0]}'",
            where=source.name,
            expected="the column that the model was trained on, or another that is named; there is "
            + ", ".join(map(repr, source.columns)),
            remedy=f"name one with {flag}",
        )
    return list(columns)


def _of_columns(source: Source, columns: Sequence[str], of_words: bool) -> Texts:
    number = 0
    for batch in source.read():
        cells = [batch.columns[column] for column in columns]
        for i, row in enumerate(zip(*cells, strict=True)):
            number += 1
            problem = batch.problems.get(i) or _problem(row, columns, of_words)
            if problem:
                raise InputError(
                    problem,
                    where=batch.places.get(i) or f"{source.name}, row {number:,}",
                    expected="a text in every row",
                    remedy="mend the row, or leave it out",
                )
            yield row[0] if len(row) == 1 else row


def _problem(row: tuple[Any, ...], columns: Sequence[str], of_words: bool) -> str:
    for value, column in zip(row, columns, strict=True):
        words = value if of_words and isinstance(value, list) else [value]
        if not words or not all(isinstance(word, str) and word.strip() for word in words):
            return f"no text in column '{column}'"
    return ""
