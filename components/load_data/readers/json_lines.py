"""JSON lines: one object, or one list, per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.source import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    RowBatch,
    Source,
    no_rows,
)
from kfp_finetune.components.load_data.readers.text_files import (
    Text,
    count_lines,
    examine,
    open_text,
)
from kfp_finetune.components.storage.files import File, readable
from kfp_finetune.components.tasks.values import json_kind

_EXAMPLE = '{"text": "...", "label": "..."}'
_LOOKED_AT = 1_000


def open_json_lines(file: File, options: ReadOptions) -> Source:
    """Open a .jsonl or .ndjson file; its columns are the keys in the first 1,000 lines.

    Args:
        file: The file.
        options: Encoding, and column names if the lines are lists.

    Raises:
        InputError: If it is not such a file, or has no rows.
    """
    text = examine(file, options.encoding)
    rows = count_lines(text)
    if not rows:
        raise no_rows(file.name)
    first = list(islice(_parsed(text), _LOOKED_AT))
    columns = column_names((row for _, row, _ in first), file.name, options.column_names)
    if not columns:
        number, row, problem = first[0]
        raise InputError(
            problem or f"{json_kind(row)}, not an object",
            where=f"{file.name}, line {number:,}",
            expected=f"one JSON object per line, e.g. {_EXAMPLE}",
            remedy="repair the line, or rename the file to .json if it is one JSON document",
        )
    return Source(
        name=file.name,
        columns=columns,
        read=lambda: _read(text, columns),
        rows=rows,
        notes=text.notes,
    )


def column_names(rows: Any, where: str, names: tuple[str, ...] | None) -> list[str]:
    """The columns of parsed rows: the keys of those that are objects, or the user's names.

    Args:
        rows: Parsed rows of any type.
        where: The file, for messages.
        names: The user's names for the cells of rows that are lists.

    Returns:
        The names; none if no row is an object or a list.

    Raises:
        InputError: If the rows are lists and the names are missing, or do not fit.
    """
    keys: dict[str, None] = {}
    for row in rows:
        if isinstance(row, dict):
            keys |= dict.fromkeys(row)
        elif isinstance(row, list) and not keys:
            if names is None or len(names) != len(row):
                has = "no names" if names is None else f"{len(names)} names in column_names"
                raise InputError(
                    f"the rows are lists of {len(row)}, and there are {has}:"
                    f" {json.dumps(row, ensure_ascii=False)[:200]}",
                    where=where,
                    expected="a name for every cell",
                    remedy="--column-names "
                    + (
                        "text,label"
                        if len(row) == 2
                        else ",".join(f"column_{i + 1}" for i in range(len(row)))
                    ),
                )
            return list(names)
    return list(keys)


def parse(line: str) -> Any:
    """Parse one JSON document.

    Raises:
        ValueError: If it is not one, or contains half a surrogate pair, which is not a character.
    """
    try:
        value = json.loads(line)
        if "\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair, which is not a character") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _parsed(text: Text) -> Iterator[tuple[int, Any, str]]:
    """The lines that are not blank: number, parsed value, and the problem if there is no value."""
    with readable(text.file), open_text(text) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield number, parse(line), ""
            except ValueError as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                yield number, None, f"not valid JSON: {reason}"


def _read(text: Text, columns: list[str]) -> Iterator[Batch]:
    batch = RowBatch(columns)
    for number, row, problem in _parsed(text):
        place = f"{text.file.name}, line {number:,}"
        if problem:
            batch.add_problem(problem, place)
        else:
            batch.add(row, place)
        if len(batch) == ROWS_PER_BATCH:
            yield batch.finish()
            batch = RowBatch(columns)
    if len(batch):
        yield batch.finish()
