"""Decide if the quotes of a delimited file enclose cells or are characters of the texts.

Most readers trust quotes: if one is not closed, they silently swallow all rows up to the next
quote. With quoting "auto", the rows of the quoted reading (see `split_lines`) are evidence:

For quotes
    A row that needs them: without quotes it has the wrong number of cells, or its lines do not look
    like rows, or it has doubled quotes.
Against quotes
    A row that is right without them, but not with them: a quote is not closed, text follows a
    closing quote, or the number of cells is wrong.
Candidates
    A row of several lines may be text with line ends, or rows swallowed by a quote that is not
    closed. If each of its lines looks like a row (see `Habits`), it is rejected, which is evidence
    against quotes. If that is undecided, it remains a row, with a warning. One or two of these are
    evidence against quotes, too: meaningless quotes rarely pair up more often.

The file is plain if there is more evidence against quotes than for them, unless more than half of
the rows are in quotes: some programs put quotes around every text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kfp_finetune.components.counts import counted
from kfp_finetune.components.load_data.readers.habits import Habits
from kfp_finetune.components.load_data.readers.split_lines import Dialect, Row
from kfp_finetune.components.load_data.readers.text_files import Text, line_blocks, open_text
from kfp_finetune.components.storage.files import readable

_SAMPLED_FULLY = 10_000
_THEN_EVERY = 97
_MOST_BY_CHANCE = 2
_MANY_LINES = 10  # in one cell
_FEW = 20  # fewer than one line in this many rows
_REMEDY = "or use --quoting none to read quotes as plain characters"


@dataclass(frozen=True)
class Reading:
    """The choice of how to read a file, and the report for the user.

    Attributes:
        dialect: How to split its lines.
        rows: Number of rows, with the header.
        notes: The reason for the choice, if there was one to make.
        warnings: A warning if quoted cells may have swallowed rows.
    """

    dialect: Dialect
    rows: int
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_rows(text: Text, dialect: Dialect) -> Iterator[Row]:
    """The rows of a file, with the header.

    Raises:
        InputError: If the file cannot be read.
    """
    with readable(text.file), open_text(text) as file:
        yield from dialect.rows(file, text.skipped)


def choose_reading(text: Text, delimiter: str, width: int, header: int, quoting: str) -> Reading:
    """Choose how to read a file, by the rule at the top of this module.

    Args:
        text: The file.
        delimiter: Between cells.
        width: The number of columns.
        header: Number of rows that are the header, 0 or 1.
        quoting: The user's choice: "minimal" or "none"; "auto" to detect it.

    Raises:
        InputError: If the file cannot be read or decoded.
    """
    plain = Dialect(delimiter, quoted=False, width=width)
    lines, has_quotes, habits = _survey(text, plain, header)
    if quoting == "none" or not has_quotes:
        return Reading(plain, lines)
    auto = quoting == "auto"
    quoted = replace(plain, quoted=True, habits=habits if auto else None)
    evidence = _Evidence(plain, habits)
    for row in read_rows(text, quoted):
        evidence.add(row)
    name, first = text.file.name, evidence.first_wrong
    if auto and evidence.is_plain:
        note = (
            f"{name}: quotes are read as plain characters because a quote in line"
            f" {first or -evidence.suspect[2]:,} is not closed at the end of its cell;"
            " --quoting minimal reads them as CSV quotes"
        )
        return Reading(plain, lines, (note,))
    note = f"{name}: the quotes are inconsistent, first in line {first:,}: repair them, {_REMEDY}"
    notes = (note,) if auto and first else ()
    return Reading(quoted, evidence.rows, notes, evidence.warnings(name))


def _survey(text: Text, plain: Dialect, header: int) -> tuple[int, bool, Habits]:
    """The number of rows in the plain reading, True if there are quotes, and the habits."""
    habits = Habits(plain.delimiter, plain.width)
    rows, has_quotes = 0, False
    for block, lines in line_blocks(text):
        has_quotes = has_quotes or '"' in block
        for row in plain.rows(lines):
            rows += 1
            is_sampled = rows <= _SAMPLED_FULLY or rows % _THEN_EVERY == 0
            is_known = rows > header and not row.problem and '"' not in row.lines[0]
            if is_known and is_sampled:
                habits.learn(row.cells)
    return rows, has_quotes, habits


class _Evidence:
    """The evidence about the quotes of a file.

    Attributes:
        rows: Number of rows in the quoted reading.
        first_wrong: The line of the first row with a wrong quote; 0 if there is none.
        suspect: The row that most likely has swallowed others: True if its lines may be rows, their
            number, and minus the number of the first.
    """

    def __init__(self, plain: Dialect, habits: Habits) -> None:
        self.rows = self.first_wrong = 0
        self.suspect = (False, 0, 0)
        self._plain, self._habits = plain, habits
        self._for_quotes = self._against = self._undecided = 0
        self._in_quotes = 0  # rows with a quoted cell
        self._over_lines = self._more_lines = 0  # rows of several lines; their lines but the first

    def add(self, row: Row) -> None:
        """Add a row of the quoted reading."""
        self.rows += 1
        text, delimiter, width = "".join(row.lines), self._plain.delimiter, self._plain.width
        if '"' not in text:
            return
        right_if_plain = text.count(delimiter) + 1 == width
        if row.problem:
            self.first_wrong = self.first_wrong or row.number
            self._against += right_if_plain
            return
        in_quotes = text[0] == '"' or delimiter + '"' in text
        self._in_quotes += in_quotes
        if len(row.lines) == 1:
            doubled = in_quotes and '""' in text and any('"' in cell for cell in row.cells)
            self._for_quotes += doubled or not right_if_plain
            return
        may_be_rows = self._habits.are_rows(row.lines) is not False
        self._for_quotes += not may_be_rows
        self._undecided += may_be_rows
        self._over_lines += 1
        self._more_lines += len(row.lines) - 1
        self.suspect = max(self.suspect, (may_be_rows, len(row.lines), -row.number))

    @property
    def is_plain(self) -> bool:
        """True if quotes are characters of the texts."""
        by_chance = self._undecided if self._undecided <= _MOST_BY_CHANCE else 0
        against = self._against + by_chance
        return against > self._for_quotes and 2 * self._in_quotes <= self.rows

    def warnings(self, name: str) -> tuple[str, ...]:
        """A warning if a row may have swallowed others, is long, or if many span several lines."""
        may_be_rows, lines, first = self.suspect[0], self.suspect[1], -self.suspect[2]
        are_many = self._more_lines > self.rows / _FEW
        if not (may_be_rows or lines > _MANY_LINES or are_many):
            return ()
        more = f"; {counted(self._over_lines - 1, 'more row')} of several lines"
        return (
            f"{name}: lines {first:,} to {first + lines - 1:,} are read as one row because a quote"
            f" opens in the first and closes in the last{more * (self._over_lines > 1)}; if each"
            f" line is a row, repair the quotes, {_REMEDY}",
        )
