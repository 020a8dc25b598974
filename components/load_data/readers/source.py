"""The input and output of every reader: options, batches of rows, and a source of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.choices import QUOTING
from kfp_finetune.components.tasks.values import json_kind

ROWS_PER_BATCH = 1_000

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading data.

    Attributes:
        split: The split to read, of a file that has several; None for "train".
        dataset_config: The configuration of a dataset on the Hub.
        dataset_revision: The revision of a dataset on the Hub.
        delimiter: The delimiter of .csv and .tsv files: one character, or "tab"; None to use that
            of the suffix, unless the file clearly uses another.
        quoting: Quoting in .csv and .tsv files: "auto" examines the file, "minimal" reads quotes as
            in RFC 4180, "none" reads them as plain characters.
        encoding: The encoding of text files, by its name in Python; None for that of the byte order
            mark, or UTF-8.
        column_names: The names of the columns of files without a header.
        plain_text: The format of files without a known suffix: "lines" of texts, "conll", or a
            "table" with a delimiter.
    """

    split: str | None = None
    dataset_config: str | None = None
    dataset_revision: str | None = None
    delimiter: str | None = None
    quoting: str = "auto"
    encoding: str | None = None
    column_names: tuple[str, ...] | None = None
    plain_text: str = "lines"


@dataclass(frozen=True)
class Batch:
    """A batch of at most 1,000 rows.

    Attributes:
        columns: A list of values per column, all of the same length.
        problems: The reason why a row could not be read, by its index in the batch; its cells are
            all None. Equal problems have equal texts, so that they can be counted.
        places: File and line of such a row.
        file: The file that `lines` refers to.
        lines: The line number, from 1, of every word of every row, if each word has its own line;
            else empty.
    """

    columns: Columns
    problems: dict[int, str] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    file: str = ""
    lines: list[list[int]] = field(default_factory=list)

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()), ()))


@dataclass(frozen=True)
class Source:
    """Rows with named columns, which can be read more than once and are never held in memory.

    Attributes:
        name: The name in messages: the file's path, or the Hub id and split.
        columns: The columns' names, in order.
        read: Starts reading.
        rows: The number of rows, known before they are read: from a file's metadata, or counted in
            the text. None if reading is the only way to count them.
        label_names: The names of integer labels, by column, if the source declares them.
        notes: What was detected or assumed, as sentences for the user.
        warnings: What may be lost or misread, as sentences for the user.
        decimal_comma: True if such files usually write numbers with a decimal comma.
        unnamed: Names for the columns, if the first line, which should name them, looks like a
            row.
    """

    name: str
    columns: list[str]
    read: Callable[[], Iterator[Batch]]
    rows: int | None = None
    label_names: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    decimal_comma: bool = False
    unnamed: tuple[str, ...] = ()


def check_options(options: ReadOptions) -> None:
    """Check the options, as far as that is possible without the data.

    Raises:
        InputError: If an option has an invalid value.
    """
    if options.quoting not in QUOTING:
        raise InputError(
            f"quoting is '{options.quoting}'",
            where="quoting",
            expected="auto, minimal or none",
            remedy="--quoting auto",
        )
    names = options.column_names
    if names is None:
        return
    wrong = "column_names is empty" if not names else None
    if any(not name.strip() for name in names):
        wrong = "a name in column_names is empty"
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        wrong = "column_names repeats " + ", ".join(map(repr, repeated))
    if wrong:
        raise InputError(
            wrong,
            where="column_names",
            expected="a different name for every column, in the file's order",
            remedy="--column-names label,text",
        )


def unique_names(names: list[str], where: str) -> tuple[list[str], tuple[str, ...]]:
    """Rename columns that have no name, or the name of another column.

    Args:
        names: The names in the file.
        where: The file, for the note.

    Returns:
        The names, and a note about the renamed columns.
    """
    unique: list[str] = []
    renamed: list[str] = []
    taken = set(names)
    for position, name in enumerate(names, start=1):
        if name and name not in unique:
            unique.append(name)
            continue
        stem, number = (name, 2) if name else ("column", position)
        while f"{stem}_{number}" in taken:
            number += 1
        unique.append(f"{stem}_{number}")
        taken.add(unique[-1])
        renamed.append(unique[-1])
    if not renamed:
        return unique, ()
    return unique, (
        f"{where}: columns without a unique name were renamed to " + ", ".join(renamed),
    )


def row_batches(rows: Iterable[Any], columns: list[str]) -> Iterator[Batch]:
    """Batches of rows that are objects or lists; anything else is a row with a problem.

    Args:
        rows: Dictionaries (missing keys are None, keys that are not a column are omitted) or lists
            with a value per column.
        columns: The columns' names.
    """
    iterator = iter(rows)
    number = 0
    while chunk := list(islice(iterator, ROWS_PER_BATCH)):
        batch = RowBatch(columns)
        for row in chunk:
            number += 1
            batch.add(row, f"row {number:,}")
        yield batch.finish()


class RowBatch:
    """Collects parsed JSON rows into one batch."""

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns
        self._cells: list[list[Any]] = []
        self._problems: dict[int, str] = {}
        self._places: dict[int, str] = {}

    def __len__(self) -> int:
        """The number of rows added so far."""
        return len(self._cells)

    def add(self, row: Any, place: str) -> None:
        """Add a parsed row, which may be of the wrong type."""
        if isinstance(row, dict):
            self._cells.append([row.get(name) for name in self._columns])
        elif not isinstance(row, list):
            self.add_problem(f"{json_kind(row)}, not a row", place)
        elif len(row) != len(self._columns):
            self.add_problem(
                f"{counted(len(row), 'cell')} for {counted(len(self._columns), 'column')}", place
            )
        else:
            self._cells.append(row)

    def add_problem(self, reason: str, place: str) -> None:
        """Add a row that could not be read."""
        self._problems[len(self._cells)] = reason
        self._places[len(self._cells)] = place
        self._cells.append([None] * len(self._columns))

    def finish(self) -> Batch:
        """The batch."""
        values = zip(*self._cells, strict=True)
        columns = {n: list(cells) for n, cells in zip(self._columns, values, strict=True)}
        return Batch(columns, self._problems, self._places)


def no_rows(where: str, expected: str = "rows") -> InputError:
    """The error for data without rows."""
    return InputError(
        "the file has no rows",
        where=where,
        expected=expected,
        remedy="check that this is the right file",
    )
