"""The rows of every source: read once, checked, labelled, and assigned to splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.labels import MISSING, LabelIds, check_labels
from kfp_finetune.components.load_data.sources import Source
from kfp_finetune.components.load_data.splits import assign_splits, stratified_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT_OUT = -1
OVER_THE_CAP = "over max_train_samples"
_ROWS_SHOWN = 5


@dataclass
class Part:
    """One source, what its rows were found to be, and the split each of them goes to."""

    source: Source
    labels: NDArray[np.int32]  # shape [rows read]; MISSING where the row is left out
    dropped: Counter[str]
    assignment: NDArray[np.int8]  # index into SPLITS, or LEFT_OUT


def scan(source: Source, columns: ColumnMapping, label_ids: LabelIds, on_bad_row: str) -> Part:
    """Read a source once: the labels of its rows, and which rows cannot be used."""
    used = [c for c in (columns.text, columns.text_pair, columns.label) if c is not None]
    for column in used:
        if column not in source.columns:
            raise InputError(
                f"there is no column '{column}'",
                where=source.name,
                expected="the columns of the training data; it has "
                + ", ".join(map(repr, source.columns)),
                remedy="rename the column",
            )
    labels: list[int] = []
    bad: dict[str, list[int]] = {}
    places: dict[str, str] = {}  # of the first row with a problem that its reader found
    for batch in source.read():
        texts = zip(*(batch.columns[column] for column in used[:-1]), strict=True)
        values = zip(texts, batch.columns[columns.label], strict=True)
        for i, (cells, value) in enumerate(values):
            label = label_ids.number(value)
            problem = (
                batch.problems.get(i)
                or _problem(cells, used)
                or (f"no label in column '{columns.label}'" if label == MISSING else None)
            )
            if problem:
                if i in batch.places:
                    places.setdefault(problem, batch.places[i])
                bad.setdefault(problem, []).append(len(labels) + 1)
                label = MISSING
            labels.append(label)
    if source.rows is not None and source.rows != len(labels):
        raise RuntimeError(
            f"{source.name}: {len(labels):,} rows were read, and {source.rows:,} counted; this is"
            " a bug in kfp-finetune"
        )
    if bad and on_bad_row == "error":
        raise InputError(
            "; ".join(f"{_number_of(rows)} with {problem}" for problem, rows in bad.items()),
            where=next(iter(places.values()), source.name),
            expected="a text and a label in every row",
            remedy="mend the rows, or --on-bad-row drop to leave them out"
            + (", or --quoting none if quotes are plain characters" if _of_quotes(bad) else ""),
        )
    if len(labels) == sum(map(len, bad.values())):
        raise InputError(
            "no row can be used",
            where=source.name,
            expected="rows with a text and a label",
            remedy="check the columns",
        )
    return Part(
        source=source,
        labels=np.array(labels, np.int32),
        dropped=Counter({problem: len(rows) for problem, rows in bad.items()}),
        assignment=np.zeros(len(labels), np.int8),
    )


def _problem(cells: tuple[Any, ...], columns: list[str]) -> str | None:
    for cell, column in zip(cells, columns, strict=False):
        if cell is None or cell == "" or (isinstance(cell, str) and not cell.strip()):
            return f"no text in column '{column}'"
        if not isinstance(cell, str):
            return f"a {type(cell).__name__} for a text in column '{column}'"
    return None


def _of_quotes(problems: Iterable[str]) -> bool:
    return any(
        problem.startswith(("a quote", "text after a closing quote")) for problem in problems
    )


def _number_of(rows: list[int]) -> str:
    shown = ", ".join(f"{row:,}" for row in rows[:_ROWS_SHOWN])
    more = ", ..." if len(rows) > _ROWS_SHOWN else ""
    return f"{len(rows):,} row{'s' * (len(rows) > 1)} ({shown}{more})"


def finish_labels(parts: dict[str, Part], label_ids: LabelIds, column: str) -> list[str]:
    """Turn the labels' numbers into their final ids; all of them must be in the training data."""
    final = np.array(label_ids.final_ids(), np.int32)
    names = label_ids.names()
    for part in parts.values():
        present = part.labels != MISSING
        part.labels[present] = final[part.labels[present]]
        part.assignment[~present] = LEFT_OUT
    train = parts["train"]
    seen = set(np.unique(train.labels[train.labels != MISSING]).tolist())
    check_labels(
        [names[i] for i in sorted(seen)],
        int((train.labels != MISSING).sum()),
        column,
        train.source.name,
    )
    for split, part in parts.items():
        unseen = set(np.unique(part.labels[part.labels != MISSING]).tolist()) - seen
        if unseen:
            shown = ", ".join(repr(names[i]) for i in sorted(unseen)[:_ROWS_SHOWN])
            raise InputError(
                f"{len(unseen)} label{'s' * (len(unseen) > 1)} not in the training data: {shown}",
                where=f"{part.source.name} ({split})",
                expected="labels that the model can learn",
                remedy="add rows with these labels to the training data, or take them out here",
            )
    return names


def assign(
    parts: dict[str, Part],
    validation_fraction: float,
    test_fraction: float,
    max_train_samples: int | None,
    seed: int,
) -> None:
    """Say of every row which split it goes to; made splits come out of the training rows."""
    train = parts["train"]
    for number, split in enumerate(SPLITS):
        if split != "train" and split in parts:
            part = parts[split]
            part.assignment[part.labels != MISSING] = number
    fractions = {"validation": validation_fraction, "test": test_fraction}
    made = {split: share for split, share in fractions.items() if split not in parts}
    usable = np.flatnonzero(train.labels != MISSING)
    assigned = assign_splits(train.labels[usable], made, seed)
    numbers = np.array([0, *(SPLITS.index(split) for split in made)], np.int8)
    train.assignment[usable] = numbers[assigned]
    rows = np.flatnonzero(train.assignment == 0)
    if max_train_samples is not None and len(rows) > max_train_samples:
        labels = np.unique(train.labels[rows])
        if max_train_samples < len(labels):
            raise InputError(
                f"max_train_samples is {max_train_samples:,}, and there are {len(labels):,} labels",
                where="max_train_samples",
                expected="at least one row per label",
                remedy=f"--max-train-samples {4 * len(labels)}",
            )
        over = stratified_sample(train.labels, rows, len(rows) - max_train_samples, seed)
        train.assignment[over] = LEFT_OUT
        train.dropped[OVER_THE_CAP] = len(over)
