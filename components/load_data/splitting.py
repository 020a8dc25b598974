"""Dividing the training rows: as a column says, at random in equal shares, or down to a number."""

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
    """How splits are made, and which rows stay out."""

    fractions: dict[str, float]
    seed: int = 42
    on_bad_row: str = "error"
    drop_duplicates: bool = False
    drop_overlap: bool = False
    max_train_samples: int | None = None


def split_by_column(assigned: dict[str, SplitRows], splits: Values) -> None:
    """Let the rows say themselves which split they are for.

    Raises:
        InputError: If a row names no split, or one that has its own data, or none is for training.
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
                ("no split is named" if missing else f"split {value!r} is not known")
                + f" in {len(rows):,} row{'s' * (len(rows) > 1)} ({shown(rows)})",
                where=where,
                expected="in every row one of " + ", ".join(ALL_ALIASES),
                remedy="repair the values, or omit --split-column",
            )
        if name != "train" and name in assigned:
            raise InputError(
                f"{len(rows):,} row{'s are' if len(rows) > 1 else ' is'} for the {name} split,"
                f" whose rows come from {assigned[name].rows.source.name} ({shown(rows)})",
                where=where,
                expected="one place that the rows of a split come from",
                remedy=f"leave out --split-column, or the {name} data",
            )
        of_value[number] = SPLITS.index(name)
    train.split[kept] = of_value[numbers][kept]
    if not (train.split == 0).any():
        raise InputError(
            "no row is for training",
            where=where,
            expected="rows whose split is train",
            remedy="mend the values, or omit --split-column",
        )


def make_splits(assigned: dict[str, SplitRows], targets: Targets, how: Splitting) -> None:
    """Take the splits that were not given out of the training rows.

    Rows with the same text always stay together, or the test would be on what was learned by heart.
    A group counts for the label of its first row, and shares are of groups.
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
    """Leave out training rows above a number, so that every label keeps its share.

    Raises:
        InputError: If there are more labels than rows to be left.
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
            f"max_train_samples is {most:,}, and there are {labels:,} labels",
            where="max_train_samples",
            expected="at least one row per label",
            remedy=f"--max-train-samples {4 * labels}",
        )
    if several:
        over = rows[split_by_labels(sets, of_rows, [most, len(rows) - most], seed) == 1]
    else:
        over = stratified_sample(strata, rows, len(rows) - most, seed)
    train.leave_out(over, "over max_train_samples")
