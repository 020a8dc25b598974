"""Assign rows to splits: by file, by a column, or at random."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.repeats import find_overlap, find_repeats
from kfp_finetune.components.load_data.rows import (
    Rows,
    described,
    in_rows,
    refuse_bad_rows,
)
from kfp_finetune.components.load_data.split_rows import LEFT_OUT, SplitRows
from kfp_finetune.components.load_data.splitting import (
    Splitting,
    cap,
    make_splits,
    split_by_column,
)
from kfp_finetune.components.load_data.targets import Targets, check_seen_in_training
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.registry import task_of
from kfp_finetune.components.tasks.values import Values

if TYPE_CHECKING:
    from numpy.typing import NDArray


def assign(
    parts: dict[str, Rows], targets: Targets, splits: Values, how: Splitting
) -> tuple[dict[str, SplitRows], list[str]]:
    """Assign every row to a split or drop it, and collect warnings.

    Args:
        parts: The rows of each source, by the split it was given for. There is always "train";
            other splits are taken from it by the split column or at random.
        targets: The meaning of the labels.
        splits: The values of the split column.
        how: The settings.

    Returns:
        The assignment of each source, and warnings as sentences.

    Raises:
        InputError: If there are bad rows and `on_bad_row` is "error", no row is left, or the labels
            cannot be learned.
    """
    assigned, warnings = _assign_whole(parts, targets, how)
    train = assigned["train"]
    if train.rows.splits is not None:
        split_by_column(assigned, splits)
    else:
        make_splits(assigned, targets, how)
    _handle_overlap(assigned, how.drop_overlap, warnings)
    if how.max_train_samples is not None:
        cap(train, targets, how.max_train_samples, how.seed)
    _check_labels(assigned, targets)
    _check_test_rows(assigned)
    return assigned, warnings


def assign_to_test(
    rows: Rows, targets: Targets, how: Splitting
) -> tuple[dict[str, SplitRows], list[str]]:
    """Assign every row to the test split or drop it, to evaluate a trained model.

    Args:
        rows: The rows.
        targets: The meaning of the labels.
        how: The settings; only `on_bad_row` and `drop_duplicates` are used.

    Returns:
        The assignment, and warnings as sentences.

    Raises:
        InputError: If there are bad rows and `on_bad_row` is "error", or no row is left.
    """
    return _assign_whole({"test": rows}, targets, how)


def _assign_whole(
    parts: dict[str, Rows], targets: Targets, how: Splitting
) -> tuple[dict[str, SplitRows], list[str]]:
    """Assign the rows of each source to the split it was given for, or drop them."""
    warnings: list[str] = []
    for rows in parts.values():
        if len(missing := targets.missing(rows)):
            bad = rows.bad()
            without = missing[~bad[missing]]
            if len(without):
                rows.problems[f"no label in column {targets.column}"] = array("q", without)
        if how.on_bad_row == "error":
            refuse_bad_rows(rows, task_of(targets.labels.problem_type))
    assigned = {
        name: SplitRows(rows, np.full(len(rows), SPLITS.index(name), np.int8))
        for name, rows in parts.items()
    }
    for part in assigned.values():
        for reason, bad_rows in part.rows.problems.items():
            part.leave_out(np.array(bad_rows, np.int64), reason)
        if not (part.split != LEFT_OUT).any():
            raise InputError(
                "no usable rows: " + described(part.rows),
                where=part.rows.place or part.rows.source.name,
                expected="rows with a text and a label",
                remedy="check the file, --text-column and --label-column",
            )
    for name, part in assigned.items():
        _handle_repeats(name, part, how.drop_duplicates, warnings)
    return assigned, warnings


def _handle_repeats(name: str, part: SplitRows, drop: bool, warnings: list[str]) -> None:
    repeats = find_repeats(part.rows.texts, part.rows.labels, part.split != LEFT_OUT)
    if len(repeats.contradictions):
        warnings.append(
            f"{_rows_are(repeats.contradictions, name, 'has', 'have')} the text of an earlier"
            f" row but another label: {in_rows(repeats.contradictions)}"
        )
    if len(repeats.copies):
        if drop:
            part.leave_out(repeats.copies, "a copy of an earlier row")
        else:
            warnings.append(
                f"{_rows_are(repeats.copies, name, 'is a copy', 'are copies')} of an earlier row:"
                f" {in_rows(repeats.copies)}; --drop-duplicates omits {_them(repeats.copies)}"
            )


def _rows_are(rows: NDArray[np.int64], name: str, one: str, more: str) -> str:
    """The number of rows of a source, with the verb in singular or plural."""
    several = len(rows) > 1
    return f"{len(rows):,} row{'s' * several} of the {name} data {more if several else one}"


def _them(rows: NDArray[np.int64]) -> str:
    return "them" if len(rows) > 1 else "it"


def _handle_overlap(assigned: dict[str, SplitRows], drop: bool, warnings: list[str]) -> None:
    train = assigned["train"]
    for split in SPLITS[1:]:
        part = assigned.get(split, train)
        others = part.rows.texts[part.split == SPLITS.index(split)]
        overlap = find_overlap(train.rows.texts, train.split == 0, others)
        if not len(overlap):
            continue
        if drop:
            train.leave_out(overlap, f"text also in the {split} split")
            if not len(train.of("train")):
                raise InputError(
                    f"the text of every training row also occurs in the {split} split",
                    where=part.rows.source.name,
                    expected=f"training rows that are not in the {split} split",
                    remedy="check that the two files differ, or omit --drop-overlap",
                )
        else:
            occur = "texts also occur" if len(overlap) > 1 else "text also occurs"
            warnings.append(
                f"{len(overlap):,} training {occur} in the {split} split (leakage):"
                f" {in_rows(overlap)}; --drop-overlap omits {_them(overlap)}"
            )


def _check_test_rows(assigned: dict[str, SplitRows]) -> None:
    """Check that there are test rows, before anything is trained."""
    train = assigned["train"].rows
    if not any(len(part.of("test")) for part in assigned.values()):
        remedy = "add --test-dataset, a --test-fraction above 0, or more data"
        if train.groups is not None:
            remedy += ", or use a --group-column with more and smaller groups"
        if train.splits is not None:
            remedy = "assign rows to the test split in the split column, or add --test-dataset"
        raise InputError(
            "the test split has no rows",
            where=train.source.name,
            expected="rows to evaluate on",
            remedy=remedy,
        )


def _check_labels(assigned: dict[str, SplitRows], targets: Targets) -> None:
    train = assigned["train"]
    numbers = train.rows.labels[train.of("train")]
    seen = targets.used(numbers)
    where = f"{train.rows.source.name}, column {targets.column}"
    _check_learnable(targets.labels, seen, len(numbers), where)
    _check_sets(targets, numbers, where)
    for split in SPLITS[1:]:
        part = assigned.get(split, train)
        check_seen_in_training(targets, seen, part.rows, part.of(split), split)


def _check_sets(targets: Targets, numbers: NDArray[np.int32], where: str) -> None:
    """Check that the rows have different sets of labels; otherwise there is nothing to learn.

    Tagged words are exempt: all sentences may have the same set of tags.
    """
    if not targets.labels.several or targets.labels.words is not None:
        return
    sets, of_rows = targets.label_sets(np.unique(numbers))
    if len(np.unique(of_rows)) == 1:
        names = [targets.labels.names[i] for i in sets[of_rows[0]]]
        raise InputError(
            f"every row has the same set of labels: {', '.join(map(repr, names)) or 'none'}",
            where=where,
            expected="rows with different sets of labels",
            remedy="check the lists of labels, or name another --label-column",
        )


def _check_learnable(labels: Labels, used: set[Any], rows: int, where: str) -> None:
    """Check that there is something to learn.

    Args:
        labels: The meaning of the values.
        used: The ids, or the numbers, that occur in the training rows.
        rows: Number of training rows.
        where: The source and the column.

    Raises:
        InputError: If every row has the same label, or most rows have a different one.
    """
    if len(used) < (1 if labels.several else 2):
        name = next((labels.names[i] if labels.names else f"{i:g}" for i in used), "none")
        raise InputError(
            f"every row has the same label: {name!r}",
            where=where,
            expected="at least two different labels",
            remedy="name another --label-column, or use data with more labels",
        )
    if not (labels.several or labels.numeric) and len(used) > rows / 2:
        raise InputError(
            f"{len(used):,} different labels in {counted(rows, 'row')}",
            where=where,
            expected="labels that repeat; this looks like an id or a text",
            remedy="name another --label-column",
        )
