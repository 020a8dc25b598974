"""Which row goes to which split: by file, by a column, or made."""

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
    refuse_bad_rows,
    shown,
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
    """Assign every row to a split or leave it out, and say what is remarkable.

    Args:
        parts: The rows of each source, by the split it was given for; "train" is always there, and
            what is made or named by a column comes out of it.
        targets: What the labels mean.
        splits: The values of the split column.
        how: The settings.

    Returns:
        The assignment of each source, and warnings as sentences.

    Raises:
        InputError: If rows cannot be used and must be, or the labels cannot be learned.
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
    """Assign every row to the test split, or leave it out: there is nothing to train.

    Args:
        rows: The rows.
        targets: What the labels mean.
        how: The settings; of them, `on_bad_row` and `drop_duplicates`.

    Returns:
        The assignment, and warnings as sentences.

    Raises:
        InputError: If rows cannot be used and must be, or none can.
    """
    return _assign_whole({"test": rows}, targets, how)


def _assign_whole(
    parts: dict[str, Rows], targets: Targets, how: Splitting
) -> tuple[dict[str, SplitRows], list[str]]:
    """Assign the rows of each source to the split it was given for, but for those left out."""
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
                "no row can be used: " + described(part.rows),
                where=part.rows.place or part.rows.source.name,
                expected="rows with a text and a label",
                remedy="check the columns and the file",
            )
    for name, part in assigned.items():
        _handle_repeats(name, part, how.drop_duplicates, warnings)
    return assigned, warnings


def _handle_repeats(name: str, part: SplitRows, drop: bool, warnings: list[str]) -> None:
    repeats = find_repeats(part.rows.texts, part.rows.labels, part.split != LEFT_OUT)
    if len(repeats.contradictions):
        warnings.append(
            f"{_rows_are(repeats.contradictions, name, 'has', 'have')} the text of an earlier"
            f" row with another label ({shown(repeats.contradictions)})"
        )
    if len(repeats.copies):
        if drop:
            part.leave_out(repeats.copies, "a copy of an earlier row")
        else:
            warnings.append(
                f"{_rows_are(repeats.copies, name, 'is a copy', 'are copies')} of an earlier row"
                f" ({shown(repeats.copies)}); --drop-duplicates leaves them out"
            )


def _rows_are(rows: NDArray[np.int64], name: str, one: str, more: str) -> str:
    """So many rows of a source, and the verb that goes with the number."""
    several = len(rows) > 1
    return f"{len(rows):,} row{'s' * several} of the {name} data {more if several else one}"


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
                    f"every training row has a text of the {split} split",
                    where=part.rows.source.name,
                    expected=f"rows to train on that are not in the {split} split",
                    remedy="check that these are different data, or omit --drop-overlap",
                )
        else:
            warnings.append(
                f"{len(overlap):,} training {'rows have' if len(overlap) > 1 else 'row has'} a text"
                f" of the {split} split"
                f" ({shown(overlap)}); --drop-overlap leaves them out"
            )


def _check_test_rows(assigned: dict[str, SplitRows]) -> None:
    """There must be something to evaluate on, and that is known before anything is trained."""
    train = assigned["train"].rows
    if not any(len(part.of("test")) for part in assigned.values()):
        remedy = "give a --test-dataset, a --test-fraction above 0, or more data"
        if train.groups is not None:
            remedy += ", or a --group-column with more and smaller groups"
        if train.splits is not None:
            remedy = "name rows for the test split in the split column, or give a --test-dataset"
        raise InputError(
            "no row is left for the test split",
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
    """Check that not every row has the very same set of labels: nothing could be learned.

    Of words it is the tags in a sentence, which may well be the same in all.
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
            remedy="check that the lists hold what they should, or name another --label-column",
        )


def _check_learnable(labels: Labels, used: set[Any], rows: int, where: str) -> None:
    """Check that there is something to learn.

    Args:
        labels: What the values mean.
        used: The ids, or the numbers, that occur in the training rows.
        rows: Training rows.
        where: The source and the column.

    Raises:
        InputError: If every row has the same label, or about every row one of its own.
    """
    if len(used) < (1 if labels.several else 2):
        name = next((labels.names[i] if labels.names else f"{i:g}" for i in used), "none")
        raise InputError(
            f"every row has the same label: {name!r}",
            where=where,
            expected="at least two different labels",
            remedy="name another --label-column, or data with more labels",
        )
    if not (labels.several or labels.numeric) and len(used) > rows / 2:
        raise InputError(
            f"{len(used):,} different labels in {counted(rows, 'row')}",
            where=where,
            expected="labels that repeat; this looks like an id or a text",
            remedy="name another --label-column",
        )
