"""Split the training rows by a column or at random with stratification, and limit their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.iterative_stratification import split_by_labels
from kfp_finetune.components.load_data.readers.split_names import ALL_ALIASES, canonical_split
from kfp_finetune.components.load_data.repeats import find_groups
from kfp_finetune.components.load_data.rows import shown
from kfp_finetune.components.load_data.split_rows import LEFT_OUT, SplitRows
from kfp_finetune.components.load_data.stratification import assign_splits, stratified_sample
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.tasks.values import Values


@dataclass(frozen=True)
class Splitting:
    """The options for making splits and dropping rows."""

    fractions: dict[str, float]
    seed: int = 42
    on_bad_row: str = "error"
    drop_duplicates: bool = False
    drop_overlap: bool = False
    max_train_samples: int | None = None


def split_by_column(assigned: dict[str, SplitRows], splits: Values) -> None:
    """Assign each row to the split that its split column names.

    Raises:
        InputError: If a row names no split or one that has its own data, or no row is for training.
    """
    train = assigned["train"]
    numbers = train.rows.splits
    assert numbers is not None  # noqa: S101
    kept = train.split != LEFT_OUT
    where = f"{train.rows.source.name}, split column"
    of_value = np.full(len(splits.values), LEFT_OUT, np.int8)
    for number in np.unique(numbers[kept]).tolist():
        value = splits.values[number]
        name = canonical_split(str(value).strip())
        rows = np.flatnonzero(kept & (numbers == number))
        if name not in SPLITS:
            missing = value is None or not str(value).strip()
            raise InputError(
                ("the split is missing" if missing else f"unknown split {value!r}")
                + f" in {len(rows):,} row{'s' * (len(rows) > 1)} ({shown(rows)})",
                where=where,
                expected="one of these in every row: " + ", ".join(ALL_ALIASES),
                remedy="repair the values, or omit --split-column",
            )
        if name != "train" and name in assigned:
            raise InputError(
                f"{len(rows):,} row{'s are' if len(rows) > 1 else ' is'} for the {name} split"
                f" ({shown(rows)}), but {assigned[name].rows.source.name} is the {name} data",
                where=where,
                expected="one source for the rows of a split",
                remedy=f"omit --split-column, or the {name} data",
            )
        of_value[number] = SPLITS.index(name)
    train.split[kept] = of_value[numbers][kept]
    if not (train.split == 0).any():
        raise InputError(
            "no row is for training",
            where=where,
            expected="rows whose split is train",
            remedy="repair the values, or omit --split-column",
        )


def make_splits(assigned: dict[str, SplitRows], targets: Targets, how: Splitting) -> None:
    """Make the splits that were not given from the training rows.

    Rows with the same text stay together, so that no test text is seen in training. A group is
    stratified by the label of its first row, and fractions refer to the groups.
    """
    train = assigned["train"]
    made = {s: f for s, f in how.fractions.items() if s not in assigned and f}
    rows = train.rows
    in_common = rows.texts if rows.groups is None else rows.groups
    usable = train.split != LEFT_OUT
    groups = find_groups(in_common, usable)
    if targets.labels.several:
        sets, of_groups = targets.label_sets(rows.labels[groups.leaders])
        sizes = [round(fraction * len(of_groups)) for fraction in made.values()]
        sizes = [len(of_groups) - sum(sizes), *sizes]
        chosen = split_by_labels(sets, of_groups, sizes, how.seed)
    else:
        strata = targets.strata(rows.labels[usable])
        chosen = assign_splits(strata[rows.labels[groups.leaders]], made, how.seed)
    numbers = np.array([0, *(SPLITS.index(split) for split in made)], np.int8)
    groups.spread(numbers[chosen], train.split)


def cap(train: SplitRows, targets: Targets, most: int, seed: int) -> None:
    """Limit the number of training rows; every label keeps its share.

    Raises:
        InputError: If the limit is below the number of labels.
    """
    rows = train.of("train").astype(np.uint32)
    if len(rows) <= most:
        return
    several = targets.labels.several
    if several:
        sets, of_rows = targets.label_sets(train.rows.labels[rows])
        labels = len(targets.used(train.rows.labels[rows]))
    else:
        strata = targets.strata(train.rows.labels)[train.rows.labels]
        labels = len(np.unique(strata[rows]))
    if most < labels:
        raise InputError(
            f"max_train_samples is {most:,}, but there are {labels:,} labels",
            where="max_train_samples",
            expected="at least one row per label",
            remedy=f"--max-train-samples {4 * labels}",
        )
    if several:
        over = rows[split_by_labels(sets, of_rows, [most, len(rows) - most], seed) == 1]
    else:
        over = stratified_sample(strata, rows, len(rows) - most, seed)
    train.leave_out(over, "over max_train_samples")
