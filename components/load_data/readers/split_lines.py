"""Split the lines of a delimited file into rows, and rows into cells.

There are two ways to read a quote. In the *quoted* reading (RFC 4180), a cell that begins with a
quote ends at the next quote that is not doubled, and may contain delimiters and line ends. In the
*plain* reading every line is a row, and a quote is a character like any other.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from kfp_finetune.components.counts import counted
from kfp_finetune.components.load_data.readers.habits import Habits

MOST_LINES_IN_A_ROW = 100_000  # a quote open for longer counts as not closed; limits the memory
_UNCLOSED = "a quote that is not closed"
_TEXT_AFTER = "text after a closing quote"
_OPEN = re.compile(r'"[^"]*+(?:""[^"]*+)*+')
_LATER = "a quote that closes lines later, "


class Row(NamedTuple):
    """A row, or a line that cannot be read as one.

    Attributes:
        number: The number of its first line.
        lines: Its lines, without the end of the last.
        cells: Its cells, as far as they can be read.
        problem: The reason why it cannot be read; "" if it can.
    """

    number: int
    lines: list[str]
    cells: list[str]
    problem: str


@dataclass(frozen=True)
class Dialect:
    """How to split lines.

    Attributes:
        delimiter: Between cells.
        quoted: True for the quoted reading.
        width: The number of cells that a row must have; 0 for any.
        habits: Rejects a row of several lines if each of them looks like a row; None to trust all
            quotes.
    """

    delimiter: str
    quoted: bool
    width: int = 0
    habits: Habits | None = None

    def rows(self, lines: Iterable[str], skipped: int = 0) -> Iterator[Row]:
        """Split lines into rows, without those of white space only.

        If a row of several lines has a problem, only its first line is given up. The lines after it
        are read again as rows of their own, so that a wrong quote loses none.

        Args:
            lines: The lines, with or without their ends.
            skipped: The number of lines before these.
        """
        numbered = enumerate(lines, skipped + 1)
        again: deque[tuple[int, str]] = deque()  # lines after the first of a row with a problem

        def following() -> tuple[int, str] | None:
            return again.popleft() if again else next(numbered, None)

        while first := following():
            number, line = first[0], _without_end(first[1])
            plain = line.split(self.delimiter)
            if len(plain) == 1 and not line.strip():
                continue
            if not self.quoted or '"' not in line:
                yield Row(number, [line], plain, self._count_problem(plain))
                continue
            cells, problem = self._parse(line)
            if problem != _UNCLOSED:
                yield Row(number, [line], cells, problem or self._count_problem(cells))
                continue
            taken = [first, *self._rest(following)]
            cells, problem = self._parse(_without_end("".join(line for _, line in taken)))
            row = [_without_end(line) for _, line in taken]
            if count := self._count_problem(cells):
                problem = problem or f"{_LATER}with {count}"
            elif self.habits and self.habits.are_rows(row):
                problem = problem or f"{_LATER}and would swallow rows"
            if problem:
                again.extendleft(reversed(taken[1:]))
                yield Row(number, [line], plain, problem)
            else:
                yield Row(number, row, cells, "")

    def _rest(self, following: Callable[[], tuple[int, str] | None]) -> Iterator[tuple[int, str]]:
        """The lines after one with an open quote, up to the one that closes it."""
        for _ in range(MOST_LINES_IN_A_ROW - 1):
            if not (line := following()):
                return
            yield line
            if self._parse('"' + _without_end(line[1]))[1] != _UNCLOSED:  # begins inside quotes
                return

    def _parse(self, text: str) -> tuple[list[str], str]:
        """The cells of a text in the quoted reading, and the problem of the next one."""
        cells: list[str] = []
        at = 0
        while match := self._cell.match(text, at):
            quoted, plain, end = match.groups()
            cells.append(plain if quoted is None else quoted.replace('""', '"'))
            at = match.end()
            if not end:
                return cells, ""
        return cells, _UNCLOSED if _OPEN.fullmatch(text, at) else _TEXT_AFTER

    @cached_property
    def _cell(self) -> re.Pattern[str]:
        """A cell, and the delimiter or the end of the text after it."""
        mark = re.escape(self.delimiter)
        return re.compile(rf'(?:"([^"]*+(?:""[^"]*+)*+)"|((?!")[^{mark}]*+))({mark}|\Z)')

    def _count_problem(self, cells: list[str]) -> str:
        if not self.width or len(cells) == self.width:
            return ""
        return f"{counted(len(cells), 'cell')} for {counted(self.width, 'column')}"


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
