"""Scan a delimited file once in both readings, quoted and plain, and count its rows."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kfp_finetune.components.load_data.readers.habits import Habits
from kfp_finetune.components.load_data.readers.quote_evidence import Evidence

# A quote still open after this many lines counts as not closed; this limits the memory.
MOST_LINES_IN_A_ROW = 100_000
_SAMPLED_FULLY = 10_000
_THEN_EVERY = 97
_MOST_CANDIDATES = 1_000
_CLOSE = re.compile(r'[^"]*+(?:""[^"]*+)*+"')


def examine_quotes(
    blocks: Iterable[tuple[str, list[str]]],
    delimiter: str,
    width: int,
    stray: str,
    *,
    headerless: bool,
    reject_by: Habits | None = None,
    before: int = 0,
) -> Evidence:
    r"""Read a file's lines in both readings at once.

    This shares no code with the reader, so its counts verify the reader's.

    Args:
        blocks: Lists of lines, each with the text it was split from.
        delimiter: Between cells.
        width: The header's number of cells.
        stray: The character that counts as a stray line end: "\r" or "\n".
        headerless: True if the first line is a row.
        reject_by: Reject candidates by these habits, and count them as faulty.
        before: Number of lines of the file before these.
    """
    found = Evidence(Habits(delimiter, width))
    quoted = _Quoted(found, delimiter, width, reject_by)
    quoted.line = before
    sampled = 0
    for text, lines in blocks:
        step = 1 if sampled < _SAMPLED_FULLY else _THEN_EVERY
        skip = 0 if sampled or headerless else 1
        for line in lines[skip::step]:
            if '"' not in line:
                found.habits.learn(line)
        sampled += len(lines)
        found.has_stray_ends = found.has_stray_ends or stray in text
        if quoted.is_open or '"' in text:
            found.has_quotes = True
            quoted.read(lines)
        else:
            blank = sum(
                1 for line in lines if not line.strip() and is_blank(line, delimiter, width)
            )
            found.rows_plain += len(lines) - blank
            found.rows_quoted += len(lines) - blank
            quoted.line += len(lines)
    quoted.end()
    return found


def is_blank(line: str, delimiter: str, width: int) -> bool:
    """Return True for a line that is empty or, if rows have several cells, only white space."""
    return not line or (width > 1 and delimiter not in line and not line.strip())


class _Quoted:
    """The quoted reading of lines, block by block; also counts the rows of the plain one."""

    def __init__(
        self, found: Evidence, delimiter: str, width: int, reject_by: Habits | None
    ) -> None:
        mark = re.escape(delimiter)
        cell = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"{mark}][^{mark}]*+|)'
        self._row = re.compile(rf"{cell}(?:{mark}{cell}){{{width - 1}}}")
        self._in_quotes = delimiter + '"'
        self._doubled = re.compile(rf'""(?:(?<=[^{mark}]"")|(?=[^{mark}]))')
        self._blank = re.compile(r'"\s+"')
        self._found = found
        self._delimiter = delimiter
        self._width = width
        self._reject_by = reject_by
        self._open: list[str] = []  # the lines of a row whose quote is not closed yet
        self._cells = 0  # the cells of that row so far
        self._opened = (0, 0)  # its row number in the plain reading, and its line number
        self.line = 0

    @property
    def is_open(self) -> bool:
        """True if the next line begins inside quotes."""
        return bool(self._open)

    def read(self, lines: list[str], again: int = 0) -> None:
        """Read lines. The lines of a faulty row after its first are read again as rows.

        Args:
            lines: The lines.
            again: The first this many lines have been counted already.
        """
        while True:
            rejected = self._read(lines, again)
            if rejected is None:
                return
            lines, again = rejected

    def end(self) -> None:
        """Read the row that is still open at the end of the file: it is faulty."""
        while self._open:
            back = self._fault()
            self.read(back, len(back))

    def _read(self, lines: list[str], again: int) -> tuple[list[str], int] | None:
        found, delimiter, width = self._found, self._delimiter, self._width
        for i, line in enumerate(lines):
            quotes = '"' in line
            if i >= again:
                self.line += 1
                if not is_blank(line, delimiter, width):
                    found.rows_plain += 1
                    if (quotes or self._open) and line.count(delimiter) + 1 != width:
                        found.faults_plain += 1
            if not self._open and not quotes:
                found.rows_quoted += not is_blank(line, delimiter, width)
                continue
            if not self._open:
                if self._row.fullmatch(line):
                    self._good(line)
                    continue
                if width > 1 and self._blank.fullmatch(line):
                    continue
                before = max(0, again - i - 1)  # lines after this one that are counted already
                self._opened = (found.rows_plain - before, self.line - before)
                closed = self._begin(line)
            else:
                closed = self._continue(line)
            if closed is None:
                self._open.append(line)
                if len(self._open) < MOST_LINES_IN_A_ROW:
                    continue
            elif closed and self._cells == width and self._open:
                self._open.append(line)
                candidate = self._is_candidate()
                if not candidate or self._reject_by is None:
                    found.over_lines(self._opened[1], len(self._open))
                    if candidate:
                        found.rows_quoted += 1  # but it is no evidence of quoting
                    else:
                        self._good("\n".join(self._open))
                    self._open = []
                    continue
            else:
                self._open.append(line)
            back = self._fault()
            return back + lines[i + 1 :], len(back) + max(0, again - i - 1)
        return None

    def _good(self, row: str) -> None:
        self._found.rows_quoted += 1
        if row[0] == '"' or self._in_quotes in row:
            self._found.rows_in_quotes += 1
            if '""' in row and self._doubled.search(row):
                self._found.rows_doubled += 1

    def _fault(self) -> list[str]:
        """Count the open row as faulty, and return the lines after its first to read again."""
        self._found.rows_quoted += 1
        self._found.faults_quoted += 1
        self._found.first_fault = self._found.first_fault or self._opened
        back, self._open = self._open[1:], []
        return back

    def _is_candidate(self) -> bool:
        lines = self._open
        if any(line.count(self._delimiter) + 1 != self._width for line in lines):
            return False
        if self._reject_by is not None:
            return self._reject_by.are_rows(lines) is True
        look_like_rows = self._found.habits.are_rows(lines)  # preliminary; `decide` asks again
        if len(self._found.candidates) < _MOST_CANDIDATES:
            self._found.candidates.append((*self._opened, lines[:_MOST_CANDIDATES]))
        return look_like_rows is not False

    def _begin(self, line: str) -> bool | None:
        """Return True if a row's first line is correct, None if a quote is open at its end."""
        self._cells = 0
        return self._cells_from(line, 0)

    def _continue(self, line: str) -> bool | None:
        """Return the same for a line that begins inside quotes."""
        close = _CLOSE.match(line)
        return self._after(line, close.end()) if close else None

    def _after(self, line: str, at: int) -> bool | None:
        """Return the same for the rest of a line, after a closing quote."""
        if at == len(line):
            return True
        return self._cells_from(line, at + 1) if line[at] == self._delimiter else False

    def _cells_from(self, line: str, at: int) -> bool | None:
        while True:
            self._cells += 1
            if line.startswith('"', at):
                close = _CLOSE.match(line, at + 1)
                if not close:
                    return None
                at = close.end()
                if at < len(line) and line[at] != self._delimiter:
                    return False
            else:
                at = line.find(self._delimiter, at)
            if not 0 <= at < len(line):
                return True
            at += 1
