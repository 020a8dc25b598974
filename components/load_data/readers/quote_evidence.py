"""What is found in a delimited file when it is read with quotes and without them."""

from __future__ import annotations

from dataclasses import dataclass, field

from kfp_finetune.components.load_data.readers.habits import Habits

_LONGEST_KEPT = 4


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
        rows_over_lines: Rows of the quoted reading over several lines.
        lines_in_them: Their lines.
        longest: The first and the last line of the longest of them, the longest first.
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
    rows_over_lines: int = 0
    lines_in_them: int = 0
    longest: list[tuple[int, int]] = field(default_factory=list)

    def over_lines(self, first: int, lines: int) -> None:
        """Count a row over several lines."""
        self.rows_over_lines += 1
        self.lines_in_them += lines
        self.longest.append((first, first + lines - 1))
        if len(self.longest) > 2 * _LONGEST_KEPT:
            self.longest = self.longest_first()

    def longest_first(self) -> list[tuple[int, int]]:
        """The few longest rows."""
        return sorted(self.longest, key=lambda r: (r[0] - r[1], r))[:_LONGEST_KEPT]
