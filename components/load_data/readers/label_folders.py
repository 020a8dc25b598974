"""Plain text labelled by the name of a folder or of a file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from kfp_finetune.components.load_data.readers.formats import TEXT, format_of
from kfp_finetune.components.load_data.readers.source import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    Source,
    no_rows,
)
from kfp_finetune.components.load_data.readers.text_files import (
    chunks,
    count_lines,
    examine,
    open_text,
)
from kfp_finetune.components.storage.files import File, readable


def is_text(path: Path) -> bool:
    """Return True if a file is one text: .txt, compressed or not, or without a suffix."""
    is_plain = format_of(path) is TEXT or not File(path, "").format
    return is_plain and not path.name.startswith(".")


def label_folders(folder: Path) -> list[Path]:
    """The sub-folders with text files, in order."""
    return [
        below
        for below in sorted(folder.iterdir())
        if below.is_dir()
        and not below.name.startswith((".", "_"))
        and any(is_text(path) and path.is_file() for path in below.iterdir())
    ]


def open_label_folders(folder: Path, name: str, options: ReadOptions) -> Source:
    """Open a folder with one sub-folder per label and one file per text.

    Args:
        folder: The folder with the sub-folders.
        name: Its name in messages.
        options: The encoding.

    Raises:
        InputError: If a file cannot be read.
    """
    labels = label_folders(folder)

    def rows() -> Iterator[tuple[str, str]]:
        for below in labels:
            for path in sorted(below.iterdir()):
                if path.is_file() and is_text(path):
                    file = File(path, f"{name}/{below.name}/{path.name}")
                    yield "".join(chunks(examine(file, options.encoding))), below.name

    count = sum(is_text(path) and path.is_file() for below in labels for path in below.iterdir())
    shown = ", ".join(below.name for below in labels[:10]) + ", ..." * (len(labels) > 10)
    return Source(
        name=name,
        columns=["text", "label"],
        read=lambda: _batches(rows()),
        rows=count,
        notes=(f"{name}: every file is a text, and its folder's name the label: {shown}",),
    )


def open_label_file(file: File, options: ReadOptions) -> Source:
    """Open a .txt file: each line that is not blank is a text, and the file's name is the label.

    Args:
        file: The file.
        options: The encoding.

    Raises:
        InputError: If it cannot be read, or every line is blank.
    """
    text = examine(file, options.encoding)
    count = count_lines(text)
    if not count:
        raise no_rows(file.name)

    def rows() -> Iterator[tuple[str, str]]:
        with readable(file), open_text(text) as opened:
            for line in opened:
                if line.strip():
                    yield line.rstrip("\r\n"), file.stem

    return Source(
        name=file.name,
        columns=["text", "label"],
        read=lambda: _batches(rows()),
        rows=count,
        notes=(*text.notes, f"{file.name}: every line is a text with the label '{file.stem}'"),
    )


def _batches(rows: Iterable[tuple[str, str]]) -> Iterator[Batch]:
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, ROWS_PER_BATCH)):
        yield Batch({"text": [text for text, _ in chunk], "label": [label for _, label in chunk]})
