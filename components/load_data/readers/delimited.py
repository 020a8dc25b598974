"""CSV, TSV and similar files: detect the encoding, delimiter, header and quotes, and read the rows.

Each detection has a module with its rule: `text_files`, `delimiters`, `header` and `quoting`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from kfp_finetune.components.load_data.readers.delimiters import SEPARATOR_LINE, find_delimiter
from kfp_finetune.components.load_data.readers.header import column_names, first_row, names_for
from kfp_finetune.components.load_data.readers.quoting import choose_reading, read_rows
from kfp_finetune.components.load_data.readers.source import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    RowBatch,
    Source,
    no_rows,
)
from kfp_finetune.components.load_data.readers.split_lines import Row
from kfp_finetune.components.load_data.readers.text_files import Text, examine, line_blocks
from kfp_finetune.components.storage.files import File

_HEADER = "a header and at least one row"


def open_delimited(file: File, options: ReadOptions) -> Source:
    """Open a .csv or .tsv file: read it to detect its format and count its rows.

    Args:
        file: The file.
        options: Delimiter, quoting, encoding and column names.

    Raises:
        InputError: If the file is damaged or has no rows, or the options do not fit it.
    """
    text, head, separator = _head(examine(file, options.encoding))
    delimiter, notes = find_delimiter(file, options.delimiter or separator, head)
    first = first_row(file.name, head, delimiter, options.quoting)
    columns, more = column_names(file.name, first, options.column_names)
    header = 1 if options.column_names is None else 0
    reading = choose_reading(text, delimiter, len(columns), header, options.quoting)
    if reading.rows <= header:
        raise no_rows(file.name, _HEADER)

    def rows() -> Iterator[Row]:
        return islice(read_rows(text, reading.dialect), header, None)

    sample = [row.cells for row in islice(rows(), ROWS_PER_BATCH) if not row.problem]
    return Source(
        name=file.name,
        columns=columns,
        read=lambda: _batches(file.name, columns, rows()),
        rows=reading.rows - header,
        notes=(*text.notes, *notes, *more, *reading.notes),
        warnings=reading.warnings,
        unnamed=names_for(first, sample) if header else (),
        decimal_comma=delimiter == ";",  # spreadsheets write ; where numbers have decimal commas
    )


def _head(text: Text) -> tuple[Text, list[str], str | None]:
    """The first lines, and the delimiter of a line before them that Excel writes and follows."""
    head = list(islice((line for _, lines in line_blocks(text) for line in lines), 1_000))
    name = text.file.name
    separator = SEPARATOR_LINE.fullmatch(head[0]) if head else None
    if separator:
        note = f"{name}: the first line, {separator[0]!r}, sets the delimiter"
        text, head = replace(text, skipped=1, notes=(*text.notes, note)), head[1:]
    if not any(line.strip() for line in head):
        raise no_rows(name, _HEADER)
    return text, head, separator[1] if separator else None


def _batches(name: str, columns: list[str], rows: Iterator[Row]) -> Iterator[Batch]:
    """Batches of rows; those that cannot be read become problems with their lines."""
    while chunk := list(islice(rows, ROWS_PER_BATCH)):
        batch = RowBatch(columns)
        for row in chunk:
            if row.problem:
                batch.add_problem(row.problem, f"{name}, line {row.number:,}")
            else:
                batch.add(row.cells, "")
        yield batch.finish()
