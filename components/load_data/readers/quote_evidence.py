"""The evidence for deciding how to read the quotes of a delimited file."""

from __future__ import annotations

from dataclasses import dataclass, field

from kfp_finetune.components.load_data.readers.habits import Habits

_LONGEST_KEPT = 4


@dataclass
class Evidence:
    """The findings about a file in both readings; rows include the header.

    Attributes:
        habits: The typical cells of each column.
        has_quotes: True if the file has a quote.
        has_stray_ends: True if a line that ends with a newline contains a carriage return, or the
            other way round.
        rows_plain: Number of rows in the plain reading.
        rows_quoted: Number of rows in the quoted reading; a faulty row is its first line.
        faults_plain: Number of lines with quotes, or inside quotes, with a wrong number of cells.
        faults_quoted: Number of faulty rows in the quoted reading.
        first_fault: The first faulty row: its row number in the plain reading, and its line.
        rows_in_quotes: Number of rows with a quoted cell.
        rows_doubled: Number of rows with doubled quotes in a cell.
        candidates: Rows of several lines, each with the right number of cells: the row number in
            the plain reading, the line number, and the lines.
        rows_over_lines: Number of rows of several lines in the quoted reading.
        lines_in_them: Number of their lines.
        longest: The first and last line of the longest of these rows, the longest first.
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
    candidates: list[tuple[int, int, list[str]]] = field(default_factory=list)
    rows_over_lines: int = 0
    lines_in_them: int = 0
    longest: list[tuple[int, int]] = field(default_factory=list)

    def over_lines(self, first: int, lines: int) -> None:
        """Count a row of several lines."""
        self.rows_over_lines += 1
        self.lines_in_them += lines
        self.longest.append((first, first + lines - 1))
        if len(self.longest) > 2 * _LONGEST_KEPT:
            self.longest = self.longest_first()

    def longest_first(self) -> list[tuple[int, int]]:
        """The few longest rows."""
        return sorted(self.longest, key=lambda r: (r[0] - r[1], r))[:_LONGEST_KEPT]
