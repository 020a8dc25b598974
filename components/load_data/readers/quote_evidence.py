"""Gather evidence about the quotes of a delimited file, in one pass over its lines.

`quoting` explains the terms. Rows are split here by a regular expression, and not by Python's csv
reader, so that the counts verify what `delimited` reads.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from kfp_finetune.components.counts import counted
from kfp_finetune.components.load_data.readers.habits import Habits
from kfp_finetune.components.load_data.readers.text_files import Text, line_blocks

MOST_LINES_IN_A_ROW = 100_000  # a quote open for longer counts as not closed; limits the memory
_SAMPLED_FULLY = 10_000
_THEN_EVERY = 97
_MOST_CANDIDATES = 1_000
_LONGEST_KEPT = 4
_BLANK_CELL = re.compile(r'"\s+"')
_UNCLOSED = "a quote that is not closed"
_TEXT_AFTER = "text after a closing quote"
_LATER = "a quote that closes lines later, "


@dataclass(frozen=True)
class Table:
    """A file of which everything is known but the meaning of quotes.

    Attributes:
        text: The file and its encoding.
        delimiter: Between cells.
        columns: The names of the columns.
        headerless: True if the first line is a row.
    """

    text: Text
    delimiter: str
    columns: list[str]
    headerless: bool


@dataclass
class Evidence:
    """The findings about a file in both readings; rows include the header.

    Attributes:
        habits: The typical cells of each column.
        stray_end: The line end that the file does not use, if a line contains it; else "".
        rows_plain: Number of rows in the plain reading.
        rows_quoted: Number of rows in the quoted reading; a faulty row is its first line.
        faults_plain: Number of lines with quotes, or inside quotes, with a wrong number of cells.
        faults: The lines of the faulty rows in the quoted reading, in order.
        problems: The problem of each of them; equal ones share a string.
        rows_in_quotes: Number of rows with a quoted cell.
        rows_doubled: Number of rows with doubled quotes in a cell.
        candidates: The lines of each row that may be rejected, by its first line, in order.
        rows_over_lines: Number of rows of several lines in the quoted reading.
        lines_in_them: Number of their lines.
        longest: The first and last line of the longest of these rows, the longest first.
    """

    habits: Habits
    stray_end: str = ""
    rows_plain: int = 0
    rows_quoted: int = 0
    faults_plain: int = 0
    faults: array[int] = field(default_factory=lambda: array("q"))
    problems: list[str] = field(default_factory=list)
    rows_in_quotes: int = 0
    rows_doubled: int = 0
    candidates: dict[int, list[str]] = field(default_factory=dict)
    rows_over_lines: int = 0
    lines_in_them: int = 0
    longest: list[tuple[int, int]] = field(default_factory=list)


def gather(table: Table, reject_by: Habits | None = None) -> Evidence:
    """Read a file in both readings at once.

    Args:
        table: The file.
        reject_by: Reject candidates by these habits: they count as faulty.
    """
    scan = _Scan(table, reject_by)
    scan.read()
    return scan.found


def is_blank(line: str, delimiter: str, width: int) -> bool:
    """Return True for a line that is empty or, if rows have several cells, only white space."""
    return not line or (width > 1 and delimiter not in line and not line.strip())


def count_problem(cells: int, width: int) -> str:
    """The problem of a row with the wrong number of cells; "" if it is right."""
    return "" if cells == width else f"{counted(cells, 'cell')} for {counted(width, 'column')}"


class _Scan:
    def __init__(self, table: Table, reject_by: Habits | None) -> None:
        mark = re.escape(table.delimiter)
        self._cell = re.compile(rf'"[^"]*+(?:""[^"]*+)*+"|(?!")[^{mark}]*+')
        self._doubled = re.compile(rf'""(?:(?<=[^{mark}]"")|(?=[^{mark}]))')
        self._table, self._reject_by = table, reject_by
        self._delimiter, self._width = table.delimiter, len(table.columns)
        self._in_quotes = False  # the next line begins inside quotes
        self.found = Evidence(Habits(self._delimiter, self._width))

    def read(self) -> None:
        """Split the lines into rows of the quoted reading, and judge those with quotes."""
        found, lines = self.found, self._lines()
        again: deque[tuple[int, str]] = deque()  # lines after the first of a faulty row
        while first := again.popleft() if again else next(lines, None):
            number, line = first
            if '"' not in line:
                found.rows_quoted += line != ""
                continue
            if self._width > 1 and _BLANK_CELL.fullmatch(line):
                continue
            taken = [first]
            cells, problem = self._parse(line)
            while problem == _UNCLOSED and len(taken) < MOST_LINES_IN_A_ROW:
                self._in_quotes = True
                following = again.popleft() if again else next(lines, None)
                if following is None:
                    break
                taken.append(following)
                more, problem = self._parse('"' + following[1])  # the quote is still open
                cells += more - 1
            self._in_quotes = False
            row = [line for _, line in taken]
            problem = problem or self._problem(cells, row)
            found.rows_quoted += 1
            if problem:
                found.faults.append(number)
                found.problems.append(sys.intern(problem))
                again.extendleft(reversed(taken[1:]))
            elif not self._is_candidate(number, row):
                text = "\n".join(row)
                if text[0] == '"' or self._delimiter + '"' in text:
                    found.rows_in_quotes += 1
                    found.rows_doubled += '""' in text and bool(self._doubled.search(text))

    def _lines(self) -> Iterator[tuple[int, str]]:
        """The lines and their numbers; a blank line is ""."""
        found, text = self.found, self._table.text
        number = text.skipped
        stray = "\r" if text.terminator == "\n" else "\n"
        for block, lines in line_blocks(text):
            start = 0 if self._table.headerless or number > text.skipped else 1
            step = 1 if number - text.skipped < _SAMPLED_FULLY else _THEN_EVERY
            for line in lines[start::step]:
                if '"' not in line:
                    found.habits.learn(line)
            if stray in block:
                found.stray_end = stray
            for line in lines:
                number += 1
                if is_blank(line, self._delimiter, self._width):
                    yield number, ""
                    continue
                found.rows_plain += 1
                if self._in_quotes or '"' in line:
                    found.faults_plain += line.count(self._delimiter) + 1 != self._width
                yield number, line

    def _parse(self, line: str) -> tuple[int, str]:
        """The number of cells in a line, and the problem of the last; "" if there is none."""
        cells = at = 0
        while cell := self._cell.match(line, at):
            cells += 1
            at = cell.end() + 1
            if at > len(line):
                return cells, ""
            if line[at - 1] != self._delimiter:
                return cells, _TEXT_AFTER
        return cells + 1, _UNCLOSED

    def _problem(self, cells: int, row: list[str]) -> str:
        """The problem of a row whose quotes are closed; "" if there is none."""
        problem = count_problem(cells, self._width)
        if len(row) > 1 and problem:
            return f"{_LATER}with {problem}"
        if len(row) > 1 and self._reject_by and self._reject_by.are_rows(row):
            return f"{_LATER}and would swallow rows"
        return problem

    def _is_candidate(self, number: int, row: list[str]) -> bool:
        """Count a row of several lines; return True if, so far, its lines look like rows."""
        found = self.found
        if len(row) == 1:
            return False
        found.rows_over_lines += 1
        found.lines_in_them += len(row)
        found.longest.append((number, number + len(row) - 1))
        found.longest.sort(key=lambda r: (r[0] - r[1], r))
        del found.longest[_LONGEST_KEPT:]
        widths = {line.count(self._delimiter) + 1 for line in row}
        if self._reject_by or widths != {self._width}:
            return False
        if len(found.candidates) < _MOST_CANDIDATES:
            found.candidates[number] = row[:_MOST_CANDIDATES]
        return found.habits.are_rows(row) is not False
