"""CSV and TSV files, and their like: rows of cells with a delimiter between them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.files import File, readable
from kfp_finetune.components.load_data.quoting import (
    GuardedLines,
    Reading,
    decide,
    examine_quotes,
    is_blank,
)
from kfp_finetune.components.load_data.reading import (
    ROWS_PER_BATCH,
    Batch,
    ReadOptions,
    Source,
    no_rows,
    unique_names,
)
from kfp_finetune.components.load_data.text_files import Text, examine, line_blocks, open_text

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_WORDS = {
    "tab": "\t",
    r"\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
}
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe", " ": "space"}
_LOOKED_AT = 20
# Stands for a stray line end, which Python's csv refuses outside quotes; no decoder gives it.
_STRAY = "\ud800"
_HEADER = "a header and at least one row"


@dataclass(frozen=True)
class _Table:
    """Everything that reading a file needs."""

    text: Text
    delimiter: str
    columns: list[str]
    reading: Reading
    headerless: bool
    stray: str  # "" where there are none


def open_delimited(file: File, options: ReadOptions) -> Source:
    """Open a .csv or .tsv file: read it once to learn how, and to count its rows.

    Args:
        file: The file.
        options: Delimiter, quoting, encoding and column names.

    Raises:
        InputError: If it is no such file, has no rows, or the options do not fit.
    """
    text = examine(file, options.encoding)
    head = list(islice((line for _, lines in line_blocks(text) for line in lines), 1_000))
    if not any(line.strip() for line in head):
        raise no_rows(file.name, _HEADER)
    notes = list(text.notes)
    delimiter, note = _delimiter(file, options.delimiter, head)
    notes += note
    first, in_quotes = _first_row(head, delimiter, options.quoting)
    if first is None:
        raise InputError(
            "the header has a quote that is not closed where its cell ends",
            where=f"{file.name}, header",
            expected='quotes closed, and doubled inside quoted cells: "say ""hi"""',
            remedy="mend the header, or --quoting none",
        )
    columns, more = _columns(file, first, options.column_names)
    notes += more
    headerless = options.column_names is not None
    reading, rows, stray = _examine(
        text, delimiter, len(first), options.quoting, headerless, header_in_quotes=in_quotes
    )
    if reading.note:
        notes.append(f"{file.name}: {reading.note}")
    if rows <= 0:
        raise no_rows(file.name, _HEADER)
    table = _Table(text, delimiter, columns, reading, headerless, stray)
    return Source(
        name=file.name,
        columns=columns,
        read=lambda: _read(table),
        rows=rows,
        notes=tuple(notes),
    )


def parse_delimiter(value: str) -> str:
    r"""The character that a user's delimiter stands for: itself, or "tab", "\t", "pipe" ...

    Raises:
        InputError: If it cannot be a delimiter.
    """
    delimiter = _WORDS.get(value.lower(), value)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise InputError(
            f"delimiter is {value!r}",
            where="delimiter",
            expected="one character, or one of " + ", ".join(_WORDS),
            remedy="--delimiter tab",
        )
    return delimiter


def _delimiter(file: File, given: str | None, head: list[str]) -> tuple[str, list[str]]:
    if given is not None:
        return parse_delimiter(given), []
    usual = _DELIMITERS[file.format]
    lines = [line for line in head if line.strip()][:_LOOKED_AT]
    if _divides(usual, lines):
        return usual, []
    others = [mark for mark in ",;\t|" if mark != usual and _divides(mark, lines)]
    if len(others) != 1:
        return usual, []
    return others[0], [
        f"{file.name} is read with a {_NAMES[others[0]]} as delimiter: every row has as many"
        " cells as the header"
    ]


def _divides(delimiter: str, lines: list[str]) -> bool:
    """Whether the header and the first rows have the same number of cells, and several."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        try:
            rows = list(_parser((line + "\n" for line in lines), delimiter, quoting))
        except csv.Error:
            rows = []
        if len(rows) == len(lines) == _LOOKED_AT and quoting == csv.QUOTE_MINIMAL:
            rows = rows[:-1]  # the last may go on after what is looked at
        widths = {len(row) for row in rows}
        if len(widths) == 1 and min(widths) > 1:
            return True
    return False


def _first_row(head: list[str], delimiter: str, quoting: str) -> tuple[list[str] | None, bool]:
    """The cells of the first row, and whether some are in quotes; None if the quotes are wrong."""
    plain = _split(head, delimiter)
    if quoting == "none":
        return plain, False
    try:
        rows = _parser((line + "\n" for line in head), delimiter, csv.QUOTE_MINIMAL)
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
        if any(_is_text(name) for name in header):
            notes += (
                f"{file.name}: the first line is taken for the columns' names, and reads like a"
                " row; if it is one, name the columns with --column-names",
            )
        return columns, notes
    if len(names) != len(first):
        shown = ", ".join(repr(cell[:40]) for cell in first[:20])
        raise InputError(
            f"column_names has {len(names)} names, and the first row {len(first)} cells: {shown}",
            where=file.name,
            expected="a name for every cell",
            remedy="--column-names " + ",".join(f"column_{i + 1}" for i in range(len(first))),
        )
    if [name.strip() for name in first] == list(names):
        raise InputError(
            "the first row holds the columns' names, as column_names does",
            where=file.name,
            expected="column_names only for a file that does not name its columns",
            remedy="leave out --column-names",
        )
    return list(names), ()


def _is_text(name: str) -> bool:
    return len(name) > 60 or len(name.split()) > 6 or name.replace(".", "", 1).isdigit()


def _examine(
    text: Text,
    delimiter: str,
    width: int,
    quoting: str,
    headerless: bool,
    *,
    header_in_quotes: bool,
) -> tuple[Reading, int, str]:
    """How to read the file, how many rows that gives, and what stray line ends it has."""
    stray = "\r" if text.terminator == "\n" else "\n"

    def look(reading: Reading) -> Any:
        return examine_quotes(
            line_blocks(text),
            delimiter,
            width,
            stray,
            headerless=headerless,
            convict=reading.habits,
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
    rows = found.rows_plain if reading.plain else found.rows_quoted
    return reading, rows - (not headerless), stray if found.has_stray_ends else ""


def _parser(lines: Iterator[str], delimiter: str, quoting: Any) -> Any:
    csv.field_size_limit(sys.maxsize)  # a text may be longer than Python's 128 KiB
    plain = quoting == csv.QUOTE_NONE
    return csv.reader(
        lines,
        delimiter=delimiter,
        quoting=quoting,
        quotechar=None if plain else '"',
        strict=True,
    )


def _read(table: _Table) -> Iterator[Batch]:
    with readable(table.text.file), open_text(table.text) as file:
        lines: Iterator[str] = file
        if table.stray:
            lines = _without_stray_ends(file, table.text.terminator, table.stray)
        batches = _guarded(lines, table) if table.reading.guarded else _unguarded(lines, table)
        for batch in batches:
            if table.stray:
                for cells in batch.columns.values():
                    cells[:] = [cell and cell.replace(_STRAY, table.stray) for cell in cells]
            yield batch


class _Rows:
    """Collects rows into one batch."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self.cells: list[list[Any]] = []
        self._problems: dict[int, str] = {}
        self._places: dict[int, str] = {}

    def add_problem(self, problem: str, line: int) -> None:
        """Add a row that could not be read."""
        self._problems[len(self.cells)] = problem
        self._places[len(self.cells)] = f"{self._table.text.file.name}, line {line:,}"
        self.cells.append([None] * len(self._table.columns))

    def finish(self) -> Batch:
        """The batch."""
        values = map(list, zip(*self.cells, strict=True))
        columns = dict(zip(self._table.columns, values, strict=True))
        return Batch(columns, self._problems, self._places)


def _unguarded(lines: Iterator[str], table: _Table) -> Iterator[Batch]:
    quoting = csv.QUOTE_NONE if table.reading.plain else csv.QUOTE_MINIMAL
    reader = _parser(lines, table.delimiter, quoting)
    width = len(table.columns)
    if not table.headerless:
        next(row for row in reader if not _is_blank(row, table))
    rows = _Rows(table)
    for row in reader:  # a million times a second: nothing is called for a row without a problem
        if len(row) == width:
            rows.cells.append(row)
        elif not _is_blank(row, table):
            rows.add_problem(_wrong_count(len(row), width), reader.line_num)
        if len(rows.cells) == ROWS_PER_BATCH:
            yield rows.finish()
            rows = _Rows(table)
    if rows.cells:
        yield rows.finish()


def _guarded(lines: Iterator[str], table: _Table) -> Iterator[Batch]:
    """Batches of a file with faulty rows, of which only the first line is taken."""
    guarded = GuardedLines(lines)
    reader = _parser(guarded, table.delimiter, csv.QUOTE_MINIMAL)
    width = len(table.columns)
    is_header = not table.headerless
    rows = _Rows(table)
    while True:
        guarded.begin()
        row: list[str] = []
        try:
            row = next(reader)
            problem = _quote_problem(row, guarded.taken, table)
        except StopIteration:
            break
        except csv.Error as error:
            unclosed = "end of data" in str(error)
            problem = "a quote that is not closed" if unclosed else "text after a closing quote"
        if problem:
            guarded.give_back()
        elif _is_blank(row, table):
            continue
        elif len(row) != width:
            problem = _wrong_count(len(row), width)
        if is_header:
            is_header = False
        elif problem:
            rows.add_problem(problem, guarded.line)
        else:
            rows.cells.append(row)
        if len(rows.cells) == ROWS_PER_BATCH:
            yield rows.finish()
            rows = _Rows(table)
    if rows.cells:
        yield rows.finish()


def _quote_problem(row: list[str], lines: list[str], table: _Table) -> str:
    """What is wrong with a row over several lines; "" if nothing is."""
    if len(lines) == 1:
        return ""
    if len(row) != len(table.columns):
        return f"a quote that closes lines later, with {_wrong_count(len(row), len(table.columns))}"
    if table.reading.habits is None:
        return ""
    ends = "\r\n" if table.text.terminator == "\n" else "\r"
    if table.reading.habits.are_rows([_without_end(line, ends) for line in lines]):
        return "a quote that closes lines later, and would swallow rows"
    return ""


def _without_end(line: str, ends: str) -> str:
    return line.removesuffix(ends[-1]).removesuffix(ends[0])


def _is_blank(row: list[str], table: _Table) -> bool:
    if not row:
        return True
    if len(table.columns) == 1 or len(row) > 1:
        return False
    cell = row[0].replace(_STRAY, table.stray)
    return cell.isspace() and table.text.terminator not in cell


def _wrong_count(cells: int, width: int) -> str:
    return f"{cells} cell{'s' * (cells != 1)} for {width} column{'s' * (width != 1)}"


def _without_stray_ends(lines: Iterator[str], terminator: str, stray: str) -> Iterator[str]:
    for line in lines:
        if stray not in line:
            yield line
            continue
        end = terminator if line.endswith(terminator) else ""
        body = line[: len(line) - len(end)]
        if terminator == "\n" and body.endswith("\r"):
            body, end = body[:-1], "\r" + end
        yield body.replace(stray, _STRAY) + end
