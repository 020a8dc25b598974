"""CSV, TSV and similar files: detect the encoding, delimiter, header and quotes, and read the rows.

Each detection has a module with its rule: `text_files`, `delimiters`, `header` and `quoting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

from kfp_finetune.components.load_data.readers.delimiters import (
    SEPARATOR_LINE,
    find_delimiter,
    parser,
)
from kfp_finetune.components.load_data.readers.header import (
    column_names,
    first_row,
    names_for,
)
from kfp_finetune.components.load_data.readers.quote_evidence import Table, count_problem
from kfp_finetune.components.load_data.readers.quoting import Reading, choose_reading
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
    examine,
    line_blocks,
    open_text,
)
from kfp_finetune.components.storage.files import File, readable

# Replaces a stray line end, which Python's csv rejects outside quotes; no decoder returns it.
_STRAY = "\ud800"
_HEADER = "a header and at least one row"


def open_delimited(file: File, options: ReadOptions) -> Source:
    """Open a .csv or .tsv file: read it once to detect its format and count its rows.

    Args:
        file: The file.
        options: Delimiter, quoting, encoding and column names.

    Raises:
        InputError: If the file is damaged or has no rows, or the options do not fit it.
    """
    text, head, separator = _head(examine(file, options.encoding))
    delimiter, notes = find_delimiter(file, options.delimiter or separator, head)
    first, in_quotes = first_row(file.name, head, delimiter, options.quoting)
    columns, more = column_names(file.name, first, options.column_names)
    table = Table(text, delimiter, columns, headerless=options.column_names is not None)
    names_in_quotes = in_quotes and not table.headerless
    reading = choose_reading(table, options.quoting, header_in_quotes=names_in_quotes)
    if reading.rows <= 0:
        raise no_rows(file.name, _HEADER)
    return Source(
        name=file.name,
        columns=columns,
        read=lambda: _read_rows(table, reading),
        rows=reading.rows,
        notes=(*text.notes, *notes, *more, *reading.notes),
        warnings=reading.warnings,
        unnamed=() if table.headerless else names_for(first, _sample(table, reading)),
        decimal_comma=delimiter == ";",  # spreadsheets write ; where numbers have decimal commas
    )


def _sample(table: Table, reading: Reading) -> list[list[str]]:
    """Some cells of each column."""
    batch = next(_read_rows(table, reading))
    good = [i for i in range(len(batch)) if i not in batch.problems]
    return [[cells[i].strip() for i in good] for cells in batch.columns.values()]


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


def _read_rows(table: Table, reading: Reading) -> Iterator[Batch]:
    """Read a file in batches of rows; faulty rows become problems with their lines.

    Raises:
        InputError: If the file cannot be read or decoded.
    """
    with readable(table.text.file), open_text(table.text) as file:
        rows = _rows(file, table, reading)
        if not table.headerless:
            next(rows)
        batch = RowBatch(table.columns)
        for cells, problem, line in rows:
            if problem:
                batch.add_problem(problem, f"{table.text.file.name}, line {line:,}")
            else:
                batch.add(cells, "")
            if len(batch) == ROWS_PER_BATCH:
                yield batch.finish()
                batch = RowBatch(table.columns)
        if len(batch):
            yield batch.finish()


def _rows(
    file: Iterable[str], table: Table, reading: Reading
) -> Iterator[tuple[list[str], str, int]]:
    """The cells of each row, its problem ("" if there is none), and its last line."""
    faults = zip(reading.faults, reading.problems, strict=True)
    fault = next(faults, None)
    skipped: list[tuple[int, str]] = []  # the faulty rows before the next row
    number, stray = table.text.skipped, reading.stray_end

    def lines() -> Iterator[str]:
        nonlocal number, fault
        for line in file:
            number += 1
            if fault and number == fault[0]:
                skipped.append(fault)
                fault = next(faults, None)
                continue
            if stray and stray in line:
                line = line.replace(stray, _STRAY)
                if stray == "\r":
                    line = line.replace(_STRAY + "\n", "\r\n").removesuffix(_STRAY)
            yield line

    # The csv reader takes no line before it needs it. The empty row is for faults at the end.
    for row in chain(parser(lines(), table.delimiter, plain=reading.plain), [[]]):
        for line, problem in skipped:
            yield [], problem, line
        skipped.clear()
        cells = [cell.replace(_STRAY, stray) for cell in row] if stray else row
        if not _is_blank(cells, table):
            yield cells, count_problem(len(cells), len(table.columns)), number


def _is_blank(row: list[str], table: Table) -> bool:
    if len(table.columns) == 1 or len(row) != 1:
        return not row
    return row[0].isspace() and table.text.terminator not in row[0]
