"""JSON documents, which are held in memory (sensible up to a few hundred megabytes).

The rows are a list of objects or of lists, or an object of columns, each a list of the same length.
They may be nested under keys that name splits or fields.
"""

from __future__ import annotations

import contextlib
import json
from functools import lru_cache
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.json_lines import (
    column_names,
    open_json_lines,
    parse,
)
from kfp_finetune.components.load_data.readers.source import (
    ReadOptions,
    Source,
    no_rows,
    row_batches,
)
from kfp_finetune.components.load_data.readers.split_names import (
    TRAIN,
    canonical_splits,
    find_split,
)
from kfp_finetune.components.load_data.readers.text_files import (
    LongLineError,
    chunks,
    examine,
    line_blocks,
)
from kfp_finetune.components.storage.files import File
from kfp_finetune.components.tasks.values import json_kind

_DEPTH = 4
_LARGEST = 256_000_000  # about ten times as many bytes in memory once parsed


def open_json(file: File, options: ReadOptions) -> Source:
    """Open a .json file.

    Args:
        file: The file.
        options: Encoding; column names if the rows are lists; and the split: the key of the rows,
            or several with dots between them, which is needed if several keys have rows.

    Raises:
        InputError: If it is not valid JSON, or the rows cannot be found in it.
    """
    if _is_lines(file, options):
        source = open_json_lines(file, options)
        note = f"{file.name} is read as JSON lines: every line is a separate document"
        return Source(source.name, source.columns, source.read, source.rows, {}, (note,))
    document = _document(file, options)
    where, rows = file.name, _rows(document)
    notes: tuple[str, ...] = ()
    if rows is None:
        where, notes, rows = _field(file, document, options.split)
    if not rows:
        raise no_rows(where)
    columns = column_names(rows[:1_000], where, options.column_names)
    if not columns:
        raise InputError(
            f"the rows are not objects: the first is {json_kind(rows[0])},"
            f" {json.dumps(rows[0], ensure_ascii=False)[:100]}",
            where=where,
            expected='a list of objects, e.g. [{"text": "...", "label": "..."}]',
            remedy="check that this is the right file",
        )
    return Source(
        name=where,
        columns=columns,
        read=lambda: row_batches(rows, columns),
        rows=len(rows),
        notes=notes,
    )


def json_splits(file: File, options: ReadOptions) -> list[str]:
    """The keys under which a .json file has rows; none if the document itself is the rows.

    Raises:
        InputError: If it cannot be read.
    """
    if _is_lines(file, options):
        return []
    document = _document(file, options)
    return [] if _rows(document) is not None else canonical_splits(_fields(document))


def _is_lines(file: File, options: ReadOptions) -> bool:
    """Return True if each of the first two lines is an object."""
    found = 0
    with contextlib.suppress(LongLineError):  # a whole document may be on one line
        for _, lines in line_blocks(examine(file, options.encoding)):
            for line in filter(str.strip, lines):
                try:
                    found += isinstance(parse(line), dict)
                except ValueError:
                    return False
                if found == 2:
                    return True
            if not found:
                return False
    return False


def _document(file: File, options: ReadOptions) -> Any:
    status = file.path.stat()
    return _parsed(file, options.encoding, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # the same document is opened for its splits, and for each of them
def _parsed(file: File, encoding: str | None, _changed: int, _size: int) -> Any:
    pieces, size = [], 0
    for piece in chunks(examine(file, encoding)):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST:
            raise InputError(
                f"the document has more than {_LARGEST:,} characters and would be held in memory",
                where=file.name,
                expected="a smaller document, or JSON lines, which are read row by row",
                remedy="write one row per line to a .jsonl file",
            )
    content = "".join(pieces)
    if not content.strip():
        raise no_rows(file.name)
    try:
        return parse(content)
    except ValueError as error:
        where, reason = file.name, str(error)
        if isinstance(error, json.JSONDecodeError):
            where, reason = f"{file.name}, line {error.lineno:,}, column {error.colno:,}", error.msg
        raise InputError(
            f"not valid JSON: {reason}",
            where=where,
            expected='a list of objects, e.g. [{"text": "...", "label": "..."}]',
            remedy="repair the file",
        ) from None


def _rows(value: Any) -> list[Any] | None:
    """A value as rows; None if it cannot be rows."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or not value:
        return None
    columns = list(value.values())
    if all(isinstance(column, dict) for column in columns):  # as pandas writes them
        keys = list(columns[0])
        if not keys or not all(key.isdigit() for key in keys):
            return None
        columns = [list(column.values()) for column in columns if list(column) == keys]
    if not all(isinstance(column, list) for column in columns) or len(columns) < 2:
        return None
    if len(columns) < len(value) or len({len(column) for column in columns}) > 1:
        return None
    if all(isinstance(cell, (dict, list)) for column in columns for cell in column[:1]):
        return None  # rows by split
    return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _fields(value: Any, path: str = "", depth: int = 1) -> dict[str, list[Any]]:
    """The rows by path of keys."""
    if not isinstance(value, dict):
        return {}
    found: dict[str, list[Any]] = {}
    for key, below in value.items():
        rows = _rows(below)
        if rows and isinstance(rows[0], (dict, list)):
            found[path + key] = rows
        elif depth < _DEPTH and isinstance(below, dict) and rows is None:
            found |= _fields(below, f"{path}{key}.", depth + 1)
    return found


def _field(file: File, document: Any, split: str | None) -> tuple[str, tuple[str, ...], list[Any]]:
    fields = _fields(document)
    name = split or TRAIN
    found = find_split(name, fields)
    if found is not None:
        return f"{file.name}, field {found}", (), fields[found]
    if len(fields) == 1:
        (only,) = fields
        note = f"{file.name}: the rows are read from its field '{only}'"
        return f"{file.name}, field {only}", (note,), fields[only]
    if not fields:
        raise InputError(
            f"the document is {json_kind(document)} and has no list of rows",
            where=file.name,
            expected="a list of objects, columns of the same length, or fields with one of these",
            remedy="check that this is the right file",
        )
    raise InputError(
        f"there is no field '{name}'",
        where=file.name,
        expected="one of the fields with rows: " + ", ".join(fields),
        remedy=f"--train-split {next(iter(fields))}",
    )
