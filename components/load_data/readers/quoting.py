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

from dataclasses import dataclass

from kfp_finetune.components.load_data.readers.habits import Habits
from kfp_finetune.components.load_data.readers.quote_evidence import Evidence

_MOST_BY_CHANCE = 2


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
