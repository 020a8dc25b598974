"""Decide if the quotes of a delimited file enclose cells or are characters of the texts.

There are two ways to read a file. In the *quoted* reading (RFC 4180), a cell that begins with a
quote ends at the next quote that is not doubled; a delimiter or the end of the line must follow.
The cell may contain delimiters and line ends. In the *plain* reading every line is a row, and a
quote is an ordinary character. Most readers trust quotes: if one is not closed, they silently
swallow all rows up to the next quote. With quoting "auto" the rule is therefore:

1. If the file has no quote, both readings are the same.
2. A row of the quoted reading is *faulty* if text follows its closing quote, if its quote is not
   closed, or if it has quotes and a wrong number of cells. A row of several lines is a *candidate*
   for rejection if each line looks like a row: it has the header's number of cells; no cell is
   empty or begins with a space unless other rows have such cells in that column; and in columns of
   numbers or of few different values, the cell is such a value. The last condition does not apply
   to cells with a quote, nor to columns where new values still appear. There is *evidence* against
   a candidate if such a column exists and eight rows are known, or if the delimiter is a tab or a
   bar, which texts rarely contain. A candidate with evidence is rejected.
3. If no row is faulty or rejected: the file is quoted. Exception: if there are one or two
   candidates without evidence, every row of the plain reading has the right number of cells, and
   quoting is not evident, the file is plain. (Meaningless quotes rarely pair up more often.) Any
   candidate is reported.
4. Otherwise the file is plain if quoting is not evident and the plain reading has fewer rows with a
   wrong number of cells than the quoted reading has faulty and rejected rows. The first of these
   rows is reported.
5. Otherwise the file is quoted, and each faulty or rejected row becomes a row with a problem. Such
   a row is its first line only; the lines after it are read as rows, so no row is lost.

Quoting is *evident* if the header's names are in quotes, if more than half of the rows have quoted
cells, or if more rows have doubled quotes than are faulty or rejected.
"""

from __future__ import annotations

from dataclasses import dataclass

from kfp_finetune.components.load_data.readers.habits import Habits
from kfp_finetune.components.load_data.readers.quote_evidence import Evidence

_MOST_BY_CHANCE = 2


@dataclass(frozen=True)
class Reading:
    """How a file is read, and why.

    Attributes:
        plain: Quotes are plain characters.
        guarded: Rows may be faulty, so they are read one by one.
        habits: Reject candidates by these; None to accept all.
        note: A sentence for the user.
    """

    plain: bool = False
    guarded: bool = False
    habits: Habits | None = None
    note: str = ""


def decide(found: Evidence, *, header_in_quotes: bool, headerless: bool) -> Reading:
    """Choose the reading of a file, by the rule at the top of this module."""
    if not found.has_quotes:
        return Reading()
    rejected: list[tuple[int, int]] = []
    undecided: list[tuple[int, int, int]] = []
    for row, line, lines in found.candidates:
        look_like_rows = found.habits.are_rows(lines)
        if look_like_rows:
            rejected.append((row, line))
        elif look_like_rows is None:
            undecided.append((row, line, len(lines)))
    faults = found.faults_quoted + len(rejected)
    evident = (
        header_in_quotes
        or 2 * found.rows_in_quotes > found.rows_quoted
        or found.rows_doubled > faults
    )
    first = min([*rejected, *([found.first_fault] if found.first_fault else [])], default=None)
    if faults == 0:
        if not undecided:
            return Reading()
        row, line, count = undecided[0]
        if len(undecided) <= _MOST_BY_CHANCE and found.faults_plain == 0 and not evident:
            return Reading(plain=True, note=_plain_note((row, line), headerless))
        return Reading(
            note=f"lines {line:,} to {line + count - 1:,} are read as one row because a quote opens"
            " in the first and closes in the last; if each line is a row, repair the quotes, or use"
            " --quoting none to read quotes as plain characters"
        )
    assert first is not None  # noqa: S101 - there is a fault
    if not evident and found.faults_plain < faults:
        return Reading(plain=True, note=_plain_note(first, headerless))
    return Reading(
        guarded=True,
        habits=found.habits if rejected else None,
        note=f"the quotes are inconsistent, first in line {first[1]:,}: repair them, or use"
        " --quoting none to read quotes as plain characters",
    )


def _plain_note(first: tuple[int, int], headerless: bool) -> str:
    row = first[0] - (0 if headerless else 1)
    return (
        f"quotes are read as plain characters because a quote in row {row:,} (line {first[1]:,}) is"
        " not closed at the end of its cell; --quoting minimal reads them as CSV quotes"
    )
