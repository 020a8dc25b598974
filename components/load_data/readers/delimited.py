"""CSV, TSV and similar files: detect how to read one.

`delimiters` has the rule for the delimiter, and `quoting` the rule for quotes.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice
from typing import Any

from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.delimited_rows import Table, parser, read_rows
from kfp_finetune.components.load_data.readers.delimiters import SEPARATOR_LINE, find_delimiter
from kfp_finetune.components.load_data.readers.header import is_long, names_for
from kfp_finetune.components.load_data.readers.quote_evidence import Evidence
from kfp_finetune.components.load_data.readers.quote_scan import examine_quotes, is_blank
from kfp_finetune.components.load_data.readers.quoting import Reading, decide
from kfp_finetune.components.load_data.readers.source import (
    ReadOptions,
    Source,
    no_rows,
    unique_names,
)
from kfp_finetune.components.load_data.readers.text_files import Text, examine, line_blocks
from kfp_finetune.components.storage.files import File

_MOST_COLUMNS = 5_000
_MANY_LINES = 10  # in one cell
_FEW = 20  # fewer than one line in this many rows
_HEADER = "a header and at least one row"


def open_delimited(file: File, options: ReadOptions) -> Source:
    """Open a .csv or .tsv file: read it once to detect its format and count its rows.

    Args:
        file: The file.
        options: Delimiter, quoting, encoding and column names.

    Raises:
        InputError: If the file is damaged or has no rows, or the options do not fit it.
    """
    text = examine(file, options.encoding)
    head = list(islice((line for _, lines in line_blocks(text) for line in lines), 1_000))
    if not any(line.strip() for line in head):
        raise no_rows(file.name, _HEADER)
    notes = list(text.notes)
    if said := SEPARATOR_LINE.fullmatch(head[0]):  # Excel writes and follows this line
        text, head = replace(text, skipped=1), head[1:]
        notes.append(f"{file.name}: the first line, {said[0]!r}, sets the delimiter")
        if not any(line.strip() for line in head):
            raise no_rows(file.name, _HEADER)
    delimiter, note = find_delimiter(file, options.delimiter or (said and said[1]), head)
    notes += note
    first, in_quotes = _first_row(head, delimiter, options.quoting)
    if first is None:
        raise InputError(
            "the header has a quote that is not closed at the end of its cell",
            where=f"{file.name}, header",
            expected='closed quotes, doubled inside quoted cells: "say ""hi"""',
            remedy="repair the header, or --quoting none",
        )
    _check_width(file, len(first))
    columns, more = _columns(file, first, options.column_names)
    notes += more
    headerless = options.column_names is not None
    unnamed = (
        ()
        if headerless
        else names_for(first, _sample(head, delimiter, len(first), options.quoting))
    )
    reading, found, stray = _examine(
        text, delimiter, len(first), options.quoting, headerless, header_in_quotes=in_quotes
    )
    rows = (found.rows_plain if reading.plain else found.rows_quoted) - (not headerless)
    if reading.note:
        notes.append(f"{file.name}: {reading.note}")
    if rows <= 0:
        raise no_rows(file.name, _HEADER)
    table = Table(text, delimiter, columns, reading, headerless, stray)
    return Source(
        name=file.name,
        columns=columns,
        read=lambda: read_rows(table),
        rows=rows,
        notes=tuple(notes),
        warnings=() if reading.plain else _over_lines(file, found, rows),
        unnamed=unnamed,
        decimal_comma=delimiter == ";",  # spreadsheets write ; where numbers have decimal commas
    )


def _first_row(head: list[str], delimiter: str, quoting: str) -> tuple[list[str] | None, bool]:
    """Return the first row's cells and True if some are in quotes; no cells if a quote is wrong."""
    plain = _split(head, delimiter)
    if quoting == "none":
        return plain, False
    try:
        rows = parser((line + "\n" for line in head), delimiter, csv.QUOTE_MINIMAL)
        quoted = next(row for row in rows if any(cell.strip() for cell in row) or len(row) > 1)
    except (csv.Error, StopIteration):
        return (plain, False) if quoting == "auto" else (None, False)
    return quoted, quoted != plain


def _split(head: list[str], delimiter: str) -> list[str]:
    return next(line for line in head if not is_blank(line, delimiter, 2)).split(delimiter)


def _columns(
    file: File, first: list[str], names: tuple[str, ...] | None
) -> tuple[list[str], tuple[str, ...]]:
    if names is None:
        header = [name.strip() for name in first]
        columns, notes = unique_names(header, file.name)
        if is_long(header):
            notes += (
                f"{file.name}: the first line is read as the column names but looks like a row; if"
                " it is a row, name the columns with --column-names",
            )
        return columns, notes
    if len(names) != len(first):
        shown = ", ".join(repr(cell[:40]) for cell in first[:20])
        raise InputError(
            f"column_names has {counted(len(names), 'name')}, but the first row has"
            f" {counted(len(first), 'cell')}: {shown}",
            where=file.name,
            expected="one name per cell",
            remedy="--column-names " + ",".join(f"column_{i + 1}" for i in range(len(first))),
        )
    if [name.strip() for name in first] == list(names):
        raise InputError(
            "the first row already has the column names that column_names gives",
            where=file.name,
            expected="column_names only for a file without a header",
            remedy="omit --column-names",
        )
    return list(names), ()


def _examine(
    text: Text,
    delimiter: str,
    width: int,
    quoting: str,
    headerless: bool,
    *,
    header_in_quotes: bool,
) -> tuple[Reading, Evidence, str]:
    """Return how to read the file, what that reading finds, and its kind of stray line ends."""
    stray = "\r" if text.terminator == "\n" else "\n"

    def look(reading: Reading) -> Any:
        return examine_quotes(
            line_blocks(text),
            delimiter,
            width,
            stray,
            headerless=headerless,
            reject_by=reading.habits,
            before=text.skipped,
        )

    found = look(Reading())
    if quoting == "none":
        reading = Reading(plain=True)
    elif quoting == "minimal":
        reading = Reading(guarded=found.faults_quoted > 0)
    else:
        in_quotes = header_in_quotes and not headerless
        reading = decide(found, header_in_quotes=in_quotes, headerless=headerless)
    if reading.habits is not None:
        found = look(reading)
    return reading, found, stray if found.has_stray_ends else ""


def _over_lines(file: File, found: Evidence, rows: int) -> tuple[str, ...]:
    """A warning if a quoted cell spans many lines, or many quoted cells span several."""
    more = found.lines_in_them - found.rows_over_lines
    longest = sorted(found.longest_first())
    many = [f"{first:,} to {last:,}" for first, last in longest if last - first >= _MANY_LINES]
    if not many and more <= rows / _FEW:
        return ()
    shown = many or [f"{first:,} to {last:,}" for first, last in longest]
    return (
        f"{file.name}: {found.rows_over_lines:,}"
        f" {'rows have' if found.rows_over_lines > 1 else 'row has'} a quoted cell that spans"
        f" several lines, {found.lines_in_them:,} lines in total: lines {', '.join(shown)}"
        + ", ..." * (found.rows_over_lines > len(shown))
        + "; if each of these lines is a row, --quoting none reads quotes as plain characters",
    )


def _sample(head: list[str], delimiter: str, width: int, quoting: str) -> list[list[str]]:
    """The cells of the first rows after the first line, if their number of cells is the usual."""
    start = next(i for i, line in enumerate(head) if line.strip())
    how: Any = csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL
    try:
        rows = list(csv.reader(head[start + 1 :], delimiter=delimiter, quoting=how))
    except csv.Error:  # a cell longer than Python's limit
        return []
    return [row for row in rows if len(row) == width]


def _check_width(file: File, width: int) -> None:
    if width > _MOST_COLUMNS:
        raise InputError(
            f"the table has {width:,} columns",
            where=file.name,
            expected=f"at most {_MOST_COLUMNS:,}",
            remedy="check --delimiter, or keep only the text and label columns",
        )
