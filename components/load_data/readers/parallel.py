"""Texts in one file and their labels in another, line by line, as in TweetEval."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.file_sets import Parallel
from kfp_finetune.components.load_data.readers.source import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    Source,
    no_rows,
)
from kfp_finetune.components.load_data.readers.text_files import (
    Text,
    examine,
    line_blocks,
    open_text,
)
from kfp_finetune.components.storage.files import File, readable

_TEXTS = re.compile(r"(.*?)[._-]?(?:texts?|sentences?|inputs?)", re.IGNORECASE)
_LABELS = re.compile(r"(.*?)[._-]?(?:labels?|targets?)", re.IGNORECASE)
_NAMES = re.compile(r"(?:label[._-]?)?(?:mapping|names|classes)", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,9}")
_NAMED = re.compile(r"([0-9]{1,9})[\t ,:]+(\S.*)")


def parallel_files(paths: list[Path], name: str) -> dict[str, Parallel]:
    """Pair files of texts with files of labels by the common part of their names.

    Args:
        paths: Files of text.
        name: The name of their folder in messages.

    Returns:
        For "train_text.txt" and "train_labels.txt", a pair with the key "train".
    """
    stems = {File(path, "").stem: path for path in paths}
    texts = {found[1]: path for stem, path in stems.items() if (found := _TEXTS.fullmatch(stem))}
    labels = {found[1]: path for stem, path in stems.items() if (found := _LABELS.fullmatch(stem))}
    mapping = next((path for stem, path in stems.items() if _NAMES.fullmatch(stem)), None)
    names = None if mapping is None else File(mapping, f"{name}/{mapping.name}")
    return {
        key: Parallel(
            File(texts[key], f"{name}/{texts[key].name}"),
            File(labels[key], f"{name}/{labels[key].name}"),
            names,
        )
        for key in texts
        if key in labels
    }


def open_parallel(files: Parallel, options: ReadOptions) -> Source:
    """Open two files, where each line of one is the label of the same line of the other.

    Args:
        files: The files of texts and of labels; if there is one, also that of label names, with a
            number and a name per line.
        options: The encoding.

    Raises:
        InputError: If a file cannot be read, or the numbers of lines differ.
    """
    texts, labels = (examine(file, options.encoding) for file in (files.texts, files.labels))
    rows, of_labels = _count(texts), _count(labels)
    if rows != of_labels:
        raise InputError(
            f"{rows:,} lines of texts, but {of_labels:,} lines of labels",
            where=f"{files.texts.name}, {files.labels.name}",
            expected="a label in each line, for the text in the same line of the other file",
            remedy="check that the files belong together, and that no line is missing",
        )
    if not rows:
        raise no_rows(files.texts.name)
    names = _names(files.names, options) if files.names else []

    def value(line: str) -> Any:
        return int(line) if names and _NUMBER.fullmatch(line) else line

    def read() -> Iterator[Batch]:
        pairs = zip(_lines(texts), _lines(labels), strict=True)
        while chunk := list(islice(pairs, ROWS_PER_BATCH)):
            yield Batch(
                {
                    "text": [text for text, _ in chunk],
                    "label": [value(label.strip()) for _, label in chunk],
                }
            )

    note = f"{files.texts.name}: every line is a text, whose label is in {files.labels.name}"
    if files.names:
        note += f"; numbers there refer to the names in {files.names.name}"
    return Source(
        name=files.texts.name,
        columns=["text", "label"],
        read=read,
        rows=rows,
        label_names={"label": names} if names else {},
        notes=(*texts.notes, note),
    )


def _count(text: Text) -> int:
    return sum(len(lines) for _, lines in line_blocks(text))


def _lines(text: Text) -> Iterator[str]:
    with readable(text.file), open_text(text) as opened:
        for line in opened:
            yield line.rstrip("\r\n")


def _names(file: File, options: ReadOptions) -> list[str]:
    """The names of the labels in the order of their numbers, which may precede them."""
    blocks = line_blocks(examine(file, options.encoding))
    lines = [line.strip() for _, block in blocks for line in block if line.strip()]
    numbered = [_NAMED.fullmatch(line) for line in lines]
    if not any(numbered):
        return lines
    found: dict[int, str] = {}
    for line, named in zip(lines, numbered, strict=True):
        if not named or int(named[1]) in found:
            raise _not_names(file, line)
        found[int(named[1])] = named[2]
    if sorted(found) != list(range(len(found))):
        raise _not_names(file, lines[-1])
    return [found[number] for number in range(len(found))]


def _not_names(file: File, line: str) -> InputError:
    return InputError(
        f"the file does not list label names: {line[:60]!r}",
        where=file.name,
        expected="a number (from 0) and a name in every line, e.g. 0 anger, or only a name",
        remedy="repair the file, or remove it from the folder if it is something else",
    )
