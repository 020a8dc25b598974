"""Read the rows of a source once: their labels, their problems and hashes of their texts.

Only numbers are kept in memory, never a text: 12 bytes per row.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.opening import Batch, Source
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.registry import task_of_lists
from kfp_finetune.components.tasks.task import Task
from kfp_finetune.components.tasks.values import LabelValues, Values

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_SHOWN = 5


@dataclass
class Rows:
    """The rows of one source.

    Attributes:
        source: The source of the rows.
        labels: Number of each row's label in `Values`, int32, shape [rows].
        texts: Hash of each row's text, or pair of texts, uint64, shape [rows].
        groups: Hash of each row's group; None without a group column.
        splits: Number of each row's split in the `Values` of the split column; None without one.
        problems: The numbers, counted from 0, of the rows that cannot be used, by reason.
        place: File and line of the first row that could not be read; or empty.
    """

    source: Source
    labels: NDArray[np.int32]
    texts: NDArray[np.uint64]
    groups: NDArray[np.uint64] | None = None
    splits: NDArray[np.int32] | None = None
    problems: dict[str, array[int]] = field(default_factory=dict)
    place: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def bad(self) -> NDArray[np.bool_]:
        """A mask of the rows that cannot be used, shape [rows]."""
        mask = np.zeros(len(self), bool)
        for rows in self.problems.values():
            mask[rows] = True
        return mask


def read_rows(
    source: Source,
    columns: ColumnMapping,
    labels: LabelValues,
    splits: Values,
    progress: Callable[[int], None] = lambda done: None,
) -> Rows:
    """Read a source once.

    Args:
        source: The source to read.
        columns: The columns in use.
        labels: Numbers the labels and finds rows without one; shared by all sources.
        splits: Numbers the values of the split column.
        progress: Called with the number of rows read so far.

    Raises:
        InputError: If a column is missing, or there are hundreds of thousands of labels.
        RuntimeError: If the number of rows differs from the source's count.
    """
    label_numbers, split_numbers = array("i"), array("i")
    texts, groups = array("Q"), array("Q")
    problems: dict[str, array[int]] = {}
    place = ""
    read = 0
    for batch in source.read():
        cells = [batch.columns[column] for column in columns.texts]
        of_rows = label_cells(batch, source, columns, read)
        found = labels.problems(columns.texts, cells, of_rows)
        places = {i: place_of(batch, i, word) for i, (_, word) in found.items()} | batch.places
        wrong = {i: reason for i, (reason, _) in found.items()} | batch.problems
        place = place or places.get(min(wrong, default=0), "")
        for i, reason in wrong.items():
            problems.setdefault(reason, array("q")).append(read + i)
        label_numbers.extend(map(labels.number, of_rows))
        texts.extend(_hashes(cells))
        if columns.group:
            groups.extend(_hashes([batch.columns[columns.group]]))
        if columns.split:
            split_numbers.extend(map(splits.number, batch.columns[columns.split]))
        read += len(of_rows)
        if too_many := labels.too_many(of_rows[-1]):
            raise InputError(
                f"{too_many} in {counted(read, 'row')}",
                where=f"{source.name}, column {columns.label_text}",
                expected="labels that repeat; this looks like an id or a text",
                remedy="name another --label-column",
            )
        progress(read)
    if source.rows is not None and source.rows != read:
        raise RuntimeError(
            f"{source.name}: {read:,} rows were read but {source.rows:,} were counted; this is a"
            " bug in kfp-finetune"
        )
    return Rows(
        source=source,
        # Views: a copy would take the same memory again.
        labels=np.asarray(label_numbers),
        texts=np.asarray(texts),
        groups=np.asarray(groups) if columns.group else None,
        splits=np.asarray(split_numbers) if columns.split else None,
        problems=problems,
        place=place,
    )


def label_cells(batch: Batch, source: Source, columns: ColumnMapping, before: int) -> Sequence[Any]:
    """The labels of a batch: the names that the source declares, or tuples for several columns.

    Args:
        batch: The rows.
        source: The source of the rows.
        columns: The columns in use.
        before: Number of rows before this batch, for messages.

    Raises:
        InputError: If a label number has no declared name.
    """
    marks = [batch.columns[column] for column in columns.labels]
    if len(marks) > 1:
        return list(zip(*marks, strict=True))
    names = source.label_names.get(columns.labels[0])
    if names is None:
        return marks[0]
    return _all_declared(marks[0], names, f"{source.name}, column {columns.label_text}", before)


def place_of(batch: Batch, row: int, word: int) -> str:
    """The file and line of a word of a row; empty if the reader does not know them."""
    return f"{batch.file}, line {batch.lines[row][word]:,}" if batch.lines else ""


def _all_declared(values: Sequence[Any], names: list[str], where: str, read: int) -> list[Any]:
    named = []
    for row, value in enumerate(values, start=read + 1):
        try:
            named.append(_declared(value, names, where))
        except InputError as error:
            error.where += f", row {row:,}"
            raise
    return named


def _declared(value: Any, names: list[str], where: str) -> Any:
    """The name that a source declares for a label number, or for each number in a list.

    None for -1, which means no label. Sources may declare the same names in different orders.
    """
    if isinstance(value, list):
        return [_declared(item, names, where) for item in value]
    if type(value) is not int:
        return value
    if not -1 <= value < len(names):
        raise InputError(
            f"label {value} is not one of the {len(names)} labels that the data declares",
            where=where,
            expected=f"numbers from 0 to {len(names) - 1}, or -1 for no label",
            remedy="repair the data",
        )
    return names[value] if value >= 0 else None


def _hashes(cells: list[list[Any]]) -> list[int]:
    if len(cells) == 1:
        return [
            xxhash.xxh3_64_intdigest(str(value).encode(errors="surrogatepass"))
            for value in cells[0]
        ]
    return [
        xxhash.xxh3_64_intdigest("\0".join(map(str, pair)).encode(errors="surrogatepass"))
        for pair in zip(*cells, strict=True)
    ]


def mark_invalid(rows: Rows, labels: Labels, columns: ColumnMapping) -> None:
    """Record the rows whose label is invalid, once the meaning of the labels is known.

    Args:
        rows: The rows of a source; the problems are added to them.
        labels: The meaning of the labels.
        columns: The columns in use.
    """
    bad = rows.bad()
    for number, reason in labels.invalid.items():
        found = np.flatnonzero((rows.labels == number) & ~bad)
        if len(found):
            rows.problems.setdefault(reason, array("q")).extend(found.tolist())
            rows.place = rows.place or _place_in(rows.source, int(found[0]), labels, columns)


def _place_in(source: Source, row: int, labels: Labels, columns: ColumnMapping) -> str:
    """Read a source again up to a row with an invalid label, and return its file and line."""
    if labels.words is None:  # only words have their own lines
        return ""
    read = 0
    for batch in source.read():
        if row < read + len(batch):
            tags = label_cells(batch, source, columns, read)[row - read]
            return place_of(batch, row - read, labels.words.wrong_word(tags))
        read += len(batch)
    return ""


def check_columns(source: Source, columns: ColumnMapping, train: Source) -> None:
    """Check that a source has the columns that the training data has.

    Args:
        source: The source of a split.
        columns: The columns in use.
        train: The training data.

    Raises:
        InputError: If a column is missing.
    """
    missing = [column for column in columns.all if column not in source.columns]
    if not missing:
        return
    without_labels = set(missing) <= set(columns.labels)
    raise InputError(
        f"there is no column '{missing[0]}'" + ": the rows have no labels" * without_labels,
        where=source.name,
        expected="the columns of the training data; this file has only "
        + ", ".join(map(repr, source.columns)),
        remedy=f"make the splits from the training data: --dataset {quote(train.name)}"
        if without_labels and Path(train.name).is_file()
        else "rename the column",
    )


def shown(rows: Sequence[int] | NDArray[np.int64]) -> str:
    """Row numbers for a message: the first few, counted from 1."""
    first = ", ".join(f"{row + 1:,}" for row in rows[:ROWS_SHOWN])
    return first + (", ..." if len(rows) > ROWS_SHOWN else "")


def in_rows(rows: Sequence[int] | NDArray[np.int64]) -> str:
    """Row numbers with their noun: "row 3", "rows 3, 7, 8"."""
    return f"row{'s' * (len(rows) > 1)} {shown(rows)}"


def described(rows: Rows) -> str:
    """The problems of the rows that cannot be used, with row numbers, for a message."""
    return "; ".join(
        f"{len(bad):,} row{'s' * (len(bad) > 1)} ({shown(bad)}): {problem}"
        for problem, bad in rows.problems.items()
    )


def refuse_bad_rows(rows: Rows, task: Task) -> None:
    """Raise an error that lists every problem with its rows, if there are any.

    Args:
        rows: The rows of a source.
        task: The task of the labels.

    Raises:
        InputError: If a row cannot be used.
    """
    if rows.problems:
        lists = all(problem.startswith("a list instead of a text") for problem in rows.problems)
        remedy = "repair the rows, or --on-bad-row drop to omit them"
        if "repair" in task.on_bad_row:
            remedy += ", or --on-bad-row repair to omit only those that cannot be repaired"
        elif _of_quotes(rows):
            remedy += ", or --quoting none if quotes are plain characters"
        raise InputError(
            described(rows),
            where=rows.place or rows.source.name,
            expected=task.expected_row,
            remedy=f"if every word has a label: --task {task_of_lists().name}" if lists else remedy,
        )


def _of_quotes(rows: Rows) -> bool:
    return any(p.startswith(("a quote", "text after a closing quote")) for p in rows.problems)
