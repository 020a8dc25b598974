"""The texts to predict labels for: from any file that load_data reads, or one text per line."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.opening import open_file, open_source
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.readers.conll import is_conll
from kfp_finetune.components.load_data.readers.formats import (
    CONLL,
    DELIMITED,
    JSON,
    JSON_LINES,
    TEXT,
    Format,
    format_of,
)
from kfp_finetune.components.load_data.readers.header import no_names
from kfp_finetune.components.load_data.readers.source import Batch, ReadOptions, Source
from kfp_finetune.components.load_data.readers.text_files import (
    Text,
    count_lines,
    examine,
    line_blocks,
)
from kfp_finetune.components.storage.errors import disk_full
from kfp_finetune.components.storage.files import File
from kfp_finetune.components.storage.scratch import new_folder
from kfp_finetune.components.tasks.registry import get_task
from kfp_finetune.components.tasks.task import Task
from kfp_finetune.components.tasks.usual_names import matching

STDIN = "standard input"
_DELIMITERS = (",", "\t", ";", "|")
_CELLS = re.compile(r"[ \t]+")
_LOOKED_AT = 50


@dataclass(frozen=True)
class Row:
    """One row to predict a label for.

    Attributes:
        number: Counted from 1; the line number in a file of plain text.
        text: The text, the two texts of a pair, or a list of words; None if there is none.
        problem: The reason if there is no text.
        place: The file and line, or the row, of the problem.
    """

    number: int
    text: str | tuple[str, str] | list[str] | None
    problem: str = ""
    place: str = ""


@dataclass(frozen=True)
class Rows:
    """The rows of a file; few of them are in memory at a time.

    Attributes:
        read: The rows.
        notes: What was detected or assumed, as sentences.
    """

    read: Iterator[Row]
    notes: tuple[str, ...]


def open_rows(parameters: Parameters, columns: Sequence[str], *, stdin: BinaryIO) -> Rows:
    """Open a file of texts, or standard input, which is read like a file of the same content.

    Args:
        parameters: The options for reading. `dataset` names anything that load_data reads, a .txt
            file with one text per line, or "-" for standard input.
        columns: The default column of the text, or the two columns of a pair. If a file has exactly
            this number of columns, they may have other names.
        stdin: Standard input.

    Raises:
        InputError: If the file cannot be read, or a column is missing.
    """
    options = parameters.read_options
    named = parameters.text_column, parameters.text_pair_column
    columns = [name or column for name, column in zip(named, columns, strict=False)]
    task = get_task(parameters.task)
    notes: tuple[str, ...] = ()
    if parameters.dataset == "-":
        file = _kept(stdin, parameters, columns, options, task)
        if format_of(file.path) is not TEXT:
            notes = (f"{STDIN} is read as a {file.format} file",)
    else:
        file = File(Path(parameters.dataset), parameters.dataset)
    is_text = format_of(file.path) is TEXT and options.plain_text != "table"
    if is_text and file.path.is_file():
        text = examine(file, options.encoding)
        if not (task.reads_lists and _has_words(text)):
            count_lines(text)  # reports decoding errors before anything is predicted
            return Rows(_of_lines(text, pairs=len(columns) == 2), notes)
    source = (
        open_file(file, options)
        if file.name == STDIN
        else open_source(parameters.dataset, options=options)
    )
    columns, found = _find(source, columns, task, named=any(named))
    repair = parameters.repair
    return Rows(_of_columns(source, columns, task, repair=repair), (*notes, *source.notes, *found))


def _kept(
    stdin: BinaryIO,
    parameters: Parameters,
    columns: Sequence[str],
    options: ReadOptions,
    task: Task,
) -> File:
    """Copy standard input to a file whose suffix matches its format."""
    path = new_folder() / "stdin.txt"
    try:
        with path.open("wb") as target:
            while chunk := stdin.read(1 << 20):
                target.write(chunk)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(STDIN, "a copy of it") from None
        raise
    file = File(path, STDIN)
    (suffix, *_) = _format_of(examine(file, options.encoding), parameters, columns, task).suffixes
    return File(path.rename(path.with_suffix(suffix)), STDIN)


def _format_of(text: Text, parameters: Parameters, columns: Sequence[str], task: Task) -> Format:
    """The format of standard input, detected from its first lines."""
    options, lines = parameters.read_options, _first_lines(text)
    if _is_object(lines[0] if lines else ""):
        return JSON_LINES
    if lines and lines[0].lstrip().startswith("[{"):
        return JSON
    if task.reads_lists and _has_words(text):
        return CONLL
    is_table = bool(options.delimiter or options.column_names or parameters.text_column)
    return DELIMITED if is_table or (lines and _names_columns(lines[0], columns)) else TEXT


def _first_lines(text: Text) -> list[str]:
    _, lines = next(iter(line_blocks(text)), ("", []))
    return [line for line in lines if line.strip()][:_LOOKED_AT]


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _names_columns(line: str, columns: Sequence[str]) -> bool:
    """Return True if the first line names the columns, with any of the usual delimiters."""
    cells = [line.split(mark) for mark in _DELIMITERS]
    return any(set(columns) <= {cell.strip().strip('"') for cell in found} for found in cells)


def _has_words(text: Text) -> bool:
    """Return True if each line of a plain text file has a word and its tags, not a text."""
    widths = {len(_CELLS.split(line.strip())) for line in _first_lines(text)}
    return is_conll(text) and len(widths) == 1 and widths != {1}


def _of_lines(text: Text, *, pairs: bool) -> Iterator[Row]:
    """The text of each line, or the two texts separated by a tab."""
    number = 0
    for _, lines in line_blocks(text):
        for line in lines:
            number += 1
            parts = line.split("\t", 1) if pairs else [line]
            place = f"{text.file.name}, line {number:,}"
            if not line.strip():
                yield Row(number, None, "the line is blank", place)
            elif len(parts) != 1 + pairs or not all(part.strip() for part in parts):
                yield Row(number, None, f"the line has only one text: {line[:40]!r}", place)
            else:
                yield Row(number, (parts[0], parts[1]) if pairs else line)


def _find(
    source: Source, columns: Sequence[str], task: Task, *, named: bool
) -> tuple[list[str], tuple[str, ...]]:
    """The columns of a file, and what was assumed about them."""
    missing = [name for name in columns if name not in source.columns]
    if not missing:
        return list(columns), ()
    if source.unnamed:
        raise no_names(source.name, source.columns, source.unnamed)
    usual = matching(source.columns, task.text_columns)
    if not named and len(source.columns) == len(columns):
        usual = source.columns
    if not named and len(usual) == len(columns):
        shown = ", ".join(map(repr, usual))
        return list(usual), (f"{source.name} has no column '{missing[0]}': using {shown}",)
    flag = "--text-column" if missing[0] == columns[0] else "--text-pair-column"
    raise InputError(
        f"there is no column '{missing[0]}'",
        where=source.name,
        expected="the column that the model was trained on, or an option that names another; the"
        " columns are " + ", ".join(map(repr, source.columns)),
        remedy=f"name the column with {flag}",
    )


def _of_columns(
    source: Source, columns: Sequence[str], task: Task, *, repair: bool
) -> Iterator[Row]:
    number = 0
    for batch in source.read():
        cells = [batch.columns[column] for column in columns]
        for i, row in enumerate(zip(*cells, strict=True)):
            number += 1
            if repair and isinstance(row[0], list):
                row = ([word for word in row[0] if not isinstance(word, str) or word.strip()],)
            problem = batch.problems.get(i) or _problem(row, columns, lists=task.reads_lists)
            if problem:
                yield Row(number, None, problem, _place(batch, i, f"{source.name}, row {number:,}"))
            else:
                yield Row(number, row[0] if len(row) == 1 else row)


def _place(batch: Batch, row: int, default: str) -> str:
    if batch.lines:
        return f"{batch.file}, line {batch.lines[row][0]:,}"
    return batch.places.get(row) or default


def _problem(row: tuple[Any, ...], columns: Sequence[str], *, lists: bool) -> str:
    for value, column in zip(row, columns, strict=True):
        words = value if lists and isinstance(value, list) else [value]
        if not words or not all(isinstance(word, str) and word.strip() for word in words):
            return f"no text in column '{column}'"
    return ""
