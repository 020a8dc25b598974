"""Decide if the quotes of a delimited file enclose cells or are characters of the texts.

There are two ways to read a file. In the *quoted* reading (RFC 4180), a cell that begins with a
quote ends at the next quote that is not doubled, and may contain delimiters and line ends. In the
*plain* reading every line is a row, and a quote is a character like any other. Most readers trust
quotes: if one is not closed, they silently swallow all rows up to the next quote. With quoting
"auto" the rule is therefore:

Candidates
    A row of the quoted reading is *faulty* if its quote is not closed, if text follows its closing
    quote, or if it has quotes and the wrong number of cells. A row of several lines is a
    *candidate* for rejection if each of its lines has the right number of cells.

Evidence
    There is *evidence* that a candidate swallows rows if each of its lines looks like a row (see
    `Habits`): no cell is empty or begins with a space unless other rows have such cells in that
    column; and in a column of numbers or of few different values, the cell is such a value. At
    least one such column and eight known rows are needed, or a tab or a bar as delimiter, which
    texts rarely contain. Candidates with evidence are *rejected*.
    *Quoting is evident* if names in the header are in quotes, if more than half of the rows have
    quoted cells, or if more rows have doubled quotes than are faulty or rejected.

Choice
    If rows are faulty or rejected, the file is plain if quoting is not evident and fewer rows have
    the wrong number of cells in the plain reading than are faulty or rejected in the quoted one.
    If no row is, the file is quoted. Exception: it is plain if there are one or two candidates that
    may be rows (meaningless quotes rarely pair up more often), quoting is not evident, and every
    row has the right number of cells in the plain reading.

Report
    A note names the first line that led to the choice, and the option for the other reading. In a
    quoted file each faulty or rejected row is a row with a problem. It is only its first line: the
    lines after it are read as rows, so no row is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kfp_finetune.components.load_data.readers.quote_evidence import Evidence, Table, gather

_MOST_BY_CHANCE = 2
_MANY_LINES = 10  # in one cell
_FEW = 20  # fewer than one line in this many rows
_REMEDY = "or use --quoting none to read quotes as plain characters"


@dataclass(frozen=True)
class Reading:
    """The choice of how to read a file, and the report for the user.

    Attributes:
        plain: True if quotes are plain characters.
        rows: Number of rows, without the header.
        faults: The lines of faulty and rejected rows, in order.
        problems: The problem of each of them.
        stray_end: The line end that the file does not use, if a line contains it; else "".
        notes: The reason for the choice, if there was one to make.
        warnings: A warning if quoted cells span suspiciously many lines.
    """

    plain: bool
    rows: int
    faults: Sequence[int]
    problems: Sequence[str]
    stray_end: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def choose_reading(table: Table, quoting: str, *, header_in_quotes: bool) -> Reading:
    """Choose how to read a file, by the rule at the top of this module.

    Args:
        table: The file.
        quoting: The user's choice: "minimal" or "none"; "auto" to detect it.
        header_in_quotes: True if names in the header are in quotes.
    """
    found = gather(table)
    plain, reject, note = quoting == "none", False, ""
    if quoting == "auto":
        plain, reject, note = _choose(found, header_in_quotes=header_in_quotes)
    if reject:
        found = gather(table, reject_by=found.habits)
    name = table.text.file.name
    notes = (f"{name}: {note}",) if note else ()
    header = not table.headerless
    if plain:
        return Reading(plain, found.rows_plain - header, (), (), found.stray_end, notes)
    rows = found.rows_quoted - header
    long = _over_lines(found, rows)
    warnings = (f"{name}: {long}",) if long else ()
    return Reading(plain, rows, found.faults, found.problems, found.stray_end, notes, warnings)


def _choose(found: Evidence, *, header_in_quotes: bool) -> tuple[bool, bool, str]:
    """Return True if the file is plain, True to reject candidates, and the reason."""
    verdicts = {line: found.habits.are_rows(rows) for line, rows in found.candidates.items()}
    rejected = [line for line, verdict in verdicts.items() if verdict]
    undecided = [line for line, verdict in verdicts.items() if verdict is None]
    faults = len(found.faults) + len(rejected)
    evident = (
        header_in_quotes
        or 2 * found.rows_in_quotes > found.rows_quoted
        or found.rows_doubled > faults
    )
    if not faults and not undecided:
        return False, False, ""
    if faults:
        first = min([*rejected, *found.faults[:1]])
        plain = not evident and found.faults_plain < faults
    else:
        first = undecided[0]
        by_chance = len(undecided) <= _MOST_BY_CHANCE
        plain = not evident and found.faults_plain == 0 and by_chance
    if plain:
        note = (
            f"quotes are read as plain characters because a quote in line {first:,} is not closed"
            " at the end of its cell; --quoting minimal reads them as CSV quotes"
        )
    elif faults:
        note = f"the quotes are inconsistent, first in line {first:,}: repair them, {_REMEDY}"
    else:
        last = first + len(found.candidates[first]) - 1
        note = (
            f"lines {first:,} to {last:,} are read as one row because a quote opens in the first"
            f" and closes in the last; if each line is a row, repair the quotes, {_REMEDY}"
        )
    return plain, not plain and bool(rejected), note


def _over_lines(found: Evidence, rows: int) -> str:
    """A warning if a quoted cell spans many lines, or many quoted cells span several."""
    more = found.lines_in_them - found.rows_over_lines
    longest = [r for r in found.longest if r[1] - r[0] >= _MANY_LINES]
    if not longest and more <= rows / _FEW:
        return ""
    shown = [f"{first:,} to {last:,}" for first, last in sorted(longest or found.longest)]
    return (
        f"{found.rows_over_lines:,}"
        f" {'rows have' if found.rows_over_lines > 1 else 'row has'} a quoted cell that spans"
        f" several lines, {found.lines_in_them:,} lines in total: lines {', '.join(shown)}"
        + ", ..." * (found.rows_over_lines > len(shown))
        + "; if each of these lines is a row, --quoting none reads quotes as plain characters"
    )
