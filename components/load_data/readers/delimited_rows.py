"""Read the rows of a delimited file, once it is known how."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kfp_finetune.components.load_data.readers import quote_scan
from kfp_finetune.components.load_data.readers.quoting import Reading
from kfp_finetune.components.load_data.readers.source import ROWS_PER_BATCH, Batch
from kfp_finetune.components.load_data.readers.text_files import Text, open_text
from kfp_finetune.components.storage.files import readable

# Replaces a stray line end, which Python's csv rejects outside quotes; no decoder returns it.
_STRAY = "\ud800"


@dataclass(frozen=True)
class Table:
    """The parameters for reading a file.

    Attributes:
        text: The file and its encoding.
        delimiter: The delimiter of cells.
        columns: The names of the columns.
        reading: The meaning of quotes.
        headerless: True if the first line is a row.
        stray: The line end character that also occurs inside lines; "" if there is none.
    """

    text: Text
    delimiter: str
    columns: list[str]
    reading: Reading
    headerless: bool
    stray: str


def parser(lines: Iterator[str], delimiter: str, quoting: Any) -> Any:
    """Python's csv reader in strict mode.

    Args:
        lines: The lines, with their ends.
        delimiter: The delimiter of cells.
        quoting: One of csv's constants.
    """
    csv.field_size_limit(sys.maxsize)  # a text may be longer than Python's 128 KiB
    plain = quoting == csv.QUOTE_NONE
    return csv.reader(
        lines,
        delimiter=delimiter,
        quoting=quoting,
        quotechar=None if plain else '"',
        strict=True,
    )


def read_rows(table: Table) -> Iterator[Batch]:
    """Read a file in batches of rows; faulty rows become problems with their lines.

    Raises:
        InputError: If the file cannot be read or decoded.
    """
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

    def __init__(self, table: Table) -> None:
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


def _unguarded(lines: Iterator[str], table: Table) -> Iterator[Batch]:
    quoting = csv.QUOTE_NONE if table.reading.plain else csv.QUOTE_MINIMAL
    reader = parser(lines, table.delimiter, quoting)
    width = len(table.columns)
    if not table.headerless:
        next(row for row in reader if not _is_blank(row, table))
    rows = _Rows(table)
    for row in reader:  # a million rows per second: no calls for a row without a problem
        if len(row) == width:
            rows.cells.append(row)
        elif not _is_blank(row, table):
            rows.add_problem(_wrong_count(len(row), width), reader.line_num + table.text.skipped)
        if len(rows.cells) == ROWS_PER_BATCH:
            yield rows.finish()
            rows = _Rows(table)
    if rows.cells:
        yield rows.finish()


def _guarded(lines: Iterator[str], table: Table) -> Iterator[Batch]:
    """Read a file with faulty rows in batches; a faulty row is only its first line."""
    guarded = _GuardedLines(lines, table.text.skipped)
    reader = parser(guarded, table.delimiter, csv.QUOTE_MINIMAL)
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


def _quote_problem(row: list[str], lines: list[str], table: Table) -> str:
    """The problem of a row of several lines; "" if there is none."""
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


def _is_blank(row: list[str], table: Table) -> bool:
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


class _GuardedLines:
    """Lines for `csv.reader`; the lines of a faulty row can be given back.

    Args:
        lines: The file's lines, with their ends.
        before: Number of lines of the file before these.
    """

    def __init__(self, lines: Iterator[str], before: int) -> None:
        self._lines = lines
        self._again: list[str] = []  # the next one last
        self.taken: list[str] = []  # since `begin`
        self.line = before  # the number of the last line taken

    def __iter__(self) -> Iterator[str]:
        """Itself."""
        return self

    def __next__(self) -> str:
        """The next line."""
        if len(self.taken) >= quote_scan.MOST_LINES_IN_A_ROW:
            raise StopIteration
        line = self._again.pop() if self._again else next(self._lines)
        self.line += 1
        self.taken.append(line)
        return line

    def begin(self) -> None:
        """Start a row at the next line."""
        self.taken = []

    def give_back(self) -> None:
        """Give back all lines of the last row except the first."""
        back = self.taken[1:]
        self._again.extend(reversed(back))
        self.line -= len(back)
        del self.taken[1:]
