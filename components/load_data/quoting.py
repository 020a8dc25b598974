"""Whether a delimited file's quotes are CSV's quotes or characters of the texts.

A file is looked at under two readings. In the *quoted* one (RFC 4180) a cell that begins with a
quote ends at the next quote that is not doubled, which a delimiter or the line's end must follow;
it may hold delimiters and line ends. In the *plain* one every line is a row, and a quote is a
character like any other. The usual reader trusts quotes blindly, and where one is not closed it
swallows rows up to the next quote without a word. So, with quoting "auto":

1. No quote in the file: both readings are the same.
2. A row of the quoted reading is *faulty* if text follows its closing quote, its quote is not
   closed, or it has quotes and not the header's number of cells. It is *suspect* if it runs over
   several lines, each of which looks like a row of its own: the header's number of cells; no empty
   cell and no cell that begins with a space in a column where other rows never have them; and in
   columns with few different values, or with numbers, a value of that kind, but for cells with a
   quote and columns where new values still turn up. If there is such a column, and eight rows to
   know it by, or if the delimiter is a tab or a bar, which texts do not have, the suspicion is
   *founded*.
3. No row faulty, none suspect: quoted. Where suspicion is not founded, plain if there are at most
   two such rows, the plain reading has no row with a wrong number of cells, and quoting is not
   evident; else quoted. Both are said. (Quotes that mean nothing do not match up many times.)
4. Otherwise plain if quoting is not evident and the plain reading has fewer rows with a wrong
   number of cells than the quoted one has faulty or suspect rows. Said, with the first such row.
5. Otherwise quoted, and every faulty or suspect row is a row with a problem: its first line alone,
   so that the lines after it are read as rows of their own and none is lost.

Quoting is *evident* if the header's names are in quotes, if more than half of the rows have cells
in quotes, or if rows with doubled quotes in them outnumber the faulty and suspect ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# A quote that opens this many lines above is not closed, whatever comes: it bounds the memory.
MOST_LINES_IN_A_ROW = 100_000
_SAMPLED_FULLY = 10_000
_THEN_EVERY = 97
_MOST_VALUES = 2_000
_ENOUGH_ROWS = 8
_MOST_SUSPECTS = 1_000
_MOST_BY_CHANCE = 2
_CLOSE = re.compile(r'[^"]*+(?:""[^"]*+)*+"')


class Habits:
    """What a column's cells are like, learned from lines without quotes."""

    def __init__(self, delimiter: str, width: int) -> None:
        self._delimiter = delimiter
        self._width = width
        self._rows = 0
        self._values: list[Counter[str] | None] = [Counter() for _ in range(width)]
        self._empty = [False] * width
        self._spaced = [False] * width
        self._numbers = [True] * width

    def learn(self, line: str) -> None:
        """Take a line into account, if it has the header's number of cells."""
        cells = line.split(self._delimiter)
        if len(cells) != self._width:
            return
        self._rows += 1
        for i, cell in enumerate(cells):
            self._empty[i] |= not cell
            self._spaced[i] |= cell.startswith(" ")
            self._numbers[i] = self._numbers[i] and _is_number(cell)
            values = self._values[i]
            if values is not None:
                values[cell] += 1
                if len(values) > _MOST_VALUES:
                    self._values[i] = None

    def are_rows(self, lines: Iterable[str]) -> bool | None:
        """Whether lines look like rows of their own; None if that cannot be told for certain."""
        verdicts = [self._is_row(line) for line in lines]
        if False in verdicts:
            return False
        return None if None in verdicts else True

    def _is_row(self, line: str) -> bool | None:
        cells = line.split(self._delimiter)
        if len(cells) != self._width:
            return False
        founded = True if self._delimiter in "\t|" else None
        for i, cell in enumerate(cells):
            odd = (not cell and not self._empty[i]) or (cell[:1] == " " and not self._spaced[i])
            if self._rows and odd and '"' not in cell:
                return False
            if self._rows < _ENOUGH_ROWS:
                continue
            values = self._values[i]
            if values is not None and 2 * len(values) <= self._rows:
                alike = cell.strip('"') in values
                if not alike and 100 * sum(n == 1 for n in values.values()) > self._rows:
                    continue  # new values still turn up (Good and Turing's estimate)
            elif self._numbers[i]:
                alike = _is_number(cell.strip('"'))
            else:
                continue
            if alike:
                founded = True
            elif '"' not in cell:  # the quote in question makes its own cell look odd
                return False
        return founded


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@dataclass
class Evidence:
    """What was found in a file under both readings; rows include the header.

    Attributes:
        habits: What its columns are like.
        has_quotes: Whether there is a quote at all.
        has_stray_ends: Whether a carriage return stands in a line that a newline ends, or the
            other way round.
        rows_plain: Rows of the plain reading.
        rows_quoted: Rows of the quoted reading, where a faulty row ends with its first line.
        faults_plain: Lines with quotes, or within quotes, with another number of cells.
        faults_quoted: Faulty rows of the quoted reading.
        first_fault: Of the first of those, the row in the plain reading and the line.
        rows_in_quotes: Rows with a cell in quotes.
        rows_doubled: Rows with doubled quotes in a cell.
        suspects: Rows over several lines of which each has the right number of cells: the row in
            the plain reading, the line, and the lines.
    """

    habits: Habits
    has_quotes: bool = False
    has_stray_ends: bool = False
    rows_plain: int = 0
    rows_quoted: int = 0
    faults_plain: int = 0
    faults_quoted: int = 0
    first_fault: tuple[int, int] | None = None
    rows_in_quotes: int = 0
    rows_doubled: int = 0
    suspects: list[tuple[int, int, list[str]]] = field(default_factory=list)


def examine_quotes(
    blocks: Iterable[tuple[str, list[str]]],
    delimiter: str,
    width: int,
    stray: str,
    *,
    headerless: bool,
    convict: Habits | None = None,
) -> Evidence:
    r"""Read a file's lines under both readings at once.

    This shares nothing with the reader, so that its counts check the reader's.

    Args:
        blocks: Lists of lines, each with the text it was split from.
        delimiter: Between cells.
        width: The header's number of cells.
        stray: The character that would be a stray line end: "\r" or "\n".
        headerless: Whether the first line is a row.
        convict: Count founded suspects as faulty, judged by these habits.
    """
    found = Evidence(Habits(delimiter, width))
    quoted = _Quoted(found, delimiter, width, convict)
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
    """Whether a line is no row: empty, or, where rows have several cells, only white space."""
    return not line or (width > 1 and delimiter not in line and not line.strip())


class _Quoted:
    """The quoted reading of lines, in pieces; counts the plain one along the way."""

    def __init__(self, found: Evidence, delimiter: str, width: int, convict: Habits | None) -> None:
        mark = re.escape(delimiter)
        cell = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"{mark}][^{mark}]*+|)'
        self._row = re.compile(rf"{cell}(?:{mark}{cell}){{{width - 1}}}")
        self._in_quotes = delimiter + '"'
        self._doubled = re.compile(rf'""(?:(?<=[^{mark}]"")|(?=[^{mark}]))')
        self._blank = re.compile(r'"\s+"')
        self._found = found
        self._delimiter = delimiter
        self._width = width
        self._convict = convict
        self._open: list[str] = []  # the lines of a row whose quote is not closed yet
        self._cells = 0  # of that row, so far
        self._opened = (0, 0)  # that row in the plain reading, and its line
        self.line = 0

    @property
    def is_open(self) -> bool:
        """Whether the next line is within quotes."""
        return bool(self._open)

    def read(self, lines: list[str], again: int = 0) -> None:
        """Read lines; those of a faulty row but its first are read again as rows.

        Args:
            lines: The lines.
            again: So many of them have been counted before.
        """
        while True:
            rejected = self._read(lines, again)
            if rejected is None:
                return
            lines, again = rejected

    def end(self) -> None:
        """Read what is still open at the end of the file: rows of which the first is faulty."""
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
                closed = self._go_on(line)
            if closed is None:
                self._open.append(line)
                if len(self._open) < MOST_LINES_IN_A_ROW:
                    continue
            elif closed and self._cells == width and self._open:
                self._open.append(line)
                suspect = self._is_suspect()
                if not suspect or self._convict is None:
                    if suspect:
                        found.rows_quoted += 1  # and no evidence of quoting
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
        """Count the open row as faulty; the lines after its first are to be read again."""
        self._found.rows_quoted += 1
        self._found.faults_quoted += 1
        self._found.first_fault = self._found.first_fault or self._opened
        back, self._open = self._open[1:], []
        return back

    def _is_suspect(self) -> bool:
        lines = self._open
        if any(line.count(self._delimiter) + 1 != self._width for line in lines):
            return False
        if self._convict is not None:
            return self._convict.are_rows(lines) is True
        verdict = self._found.habits.are_rows(lines)  # a first one; the last is in `decide`
        if len(self._found.suspects) < _MOST_SUSPECTS:
            self._found.suspects.append((*self._opened, lines[:_MOST_SUSPECTS]))
        return verdict is not False

    def _begin(self, line: str) -> bool | None:
        """Whether a row's first line is in order; None if a quote is open at its end."""
        self._cells = 0
        return self._cells_from(line, 0)

    def _go_on(self, line: str) -> bool | None:
        close = _CLOSE.match(line)
        return self._after(line, close.end()) if close else None

    def _after(self, line: str, at: int) -> bool | None:
        """The same for the rest of a line, from a closing quote on."""
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


@dataclass(frozen=True)
class Reading:
    """How a file is read, and why.

    Attributes:
        plain: Quotes are plain characters.
        guarded: Rows may be faulty: read them one by one.
        habits: Founded suspects are faulty too, judged by these.
        note: What the user should know.
    """

    plain: bool = False
    guarded: bool = False
    habits: Habits | None = None
    note: str = ""


def decide(found: Evidence, *, header_in_quotes: bool, headerless: bool) -> Reading:
    """Choose the reading of a file, by the rule at the top of this module."""
    if not found.has_quotes:
        return Reading()
    founded: list[tuple[int, int]] = []
    unfounded: list[tuple[int, int, int]] = []
    for row, line, lines in found.suspects:
        verdict = found.habits.are_rows(lines)
        if verdict:
            founded.append((row, line))
        elif verdict is None:
            unfounded.append((row, line, len(lines)))
    faults = found.faults_quoted + len(founded)
    evident = (
        header_in_quotes
        or 2 * found.rows_in_quotes > found.rows_quoted
        or found.rows_doubled > faults
    )
    first = min([*founded, *([found.first_fault] if found.first_fault else [])], default=None)
    if faults == 0:
        if not unfounded:
            return Reading()
        row, line, count = unfounded[0]
        if len(unfounded) <= _MOST_BY_CHANCE and found.faults_plain == 0 and not evident:
            return Reading(plain=True, note=_plain_note((row, line), headerless))
        return Reading(
            note=f"lines {line:,} to {line + count - 1:,} are read as one row, for a quote opens in"
            " the first and closes in the last; if they are rows, mend the quotes, or"
            " --quoting none reads them as plain characters"
        )
    assert first is not None  # noqa: S101 - there is a fault
    if not evident and found.faults_plain < faults:
        return Reading(plain=True, note=_plain_note(first, headerless))
    return Reading(
        guarded=True,
        habits=found.habits if founded else None,
        note=f"the quotes are not in order, first in line {first[1]:,}: mend them, or"
        " --quoting none reads quotes as plain characters",
    )


def _plain_note(first: tuple[int, int], headerless: bool) -> str:
    row = first[0] - (0 if headerless else 1)
    return (
        f"quotes are read as plain characters, for in row {row:,} (line {first[1]:,}) one is not"
        " closed where its cell ends; --quoting minimal reads them as CSV's quotes"
    )


class GuardedLines:
    """Lines for `csv.reader`, of which those of a faulty row can be given back.

    Args:
        lines: The file's lines, with their ends.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: list[str] = []  # the next one last
        self.taken: list[str] = []  # since `begin`
        self.line = 0  # the number of the last line taken

    def __iter__(self) -> Iterator[str]:
        """Itself."""
        return self

    def __next__(self) -> str:
        """The next line."""
        if len(self.taken) >= MOST_LINES_IN_A_ROW:
            raise StopIteration
        line = self._again.pop() if self._again else next(self._lines)
        self.line += 1
        self.taken.append(line)
        return line

    def begin(self) -> None:
        """A row begins with the next line."""
        self.taken = []

    def give_back(self) -> None:
        """Keep only the first line of the row that was read last."""
        back = self.taken[1:]
        self._again.extend(reversed(back))
        self.line -= len(back)
        del self.taken[1:]
