"""Splits that do not exist, contradict each other, or have no rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.load_data.refused import GOOD, PLAIN, Case, with_column

NO_TEST_ROWS = "the test split has no rows"
MORE = "--test-dataset ... --test-fraction above 0"


def marked(*values: str, found: str) -> Case:
    """A split column with these values."""
    return Case(
        with_column("fold", *values),
        {"split_column": "fold"},
        found=found,
        where="{file}, split column",
        remedy="omit --split-column",
    )


def fraction(name: str, value: float, found: str) -> Case:
    expected = "at least 0 and below 1"
    remedy = f"--{name.replace('_', '-')} 0.1"
    return Case(PLAIN, {name: value}, f"{name} is {found}", name, expected, remedy)


CASES = {
    "no such training split": Case(
        {"train.csv": GOOD, "test.csv": GOOD},
        {"dataset": "{dir}", "train_split": "trian"},
        found="no split 'trian'",
        where="{dir} (train_split)",
        expected="test, train",
        remedy="--train-split train",
    ),
    "no such test split": Case(
        {"train.csv": GOOD, "validation.csv": GOOD},
        {"dataset": "{dir}", "test_split": "holdout"},
        found="no split 'holdout'",
        where="{dir} (test_split)",
        expected="train, validation",
        remedy="--test-split validation",
    ),
    "a test split of a file without splits": Case(
        PLAIN,
        {"test_split": "holdout"},
        found="no split 'holdout'",
        where="{file} (test_split)",
        remedy="omit --test-split",
    ),
    "a training split of a file without splits": Case(
        PLAIN,
        {"train_split": "first"},
        found="no split 'first'",
        where="{file} (train_split)",
        remedy="omit --train-split",
    ),
    "a split that is not known": marked(
        "train", "1", found="split '1' in 15 rows (2, 4, 6, 8, 10, ...)"
    ),
    "a row without a split": marked(
        "train", "test", "", found="missing in 10 rows (3, 6, 9, 12, 15, ...)"
    ),
    "no row for training": marked("test", found="no row is for training"),
    "no row to test on": Case(
        with_column("fold", "train", "dev"),
        {"split_column": "fold"},
        found=NO_TEST_ROWS,
        remedy="split column ... --test-dataset",
    ),
    "a split column beside a test set": Case(
        with_column("fold", "train", "test")
        | {"test.csv": with_column("fold", "test")["data.csv"]},
        {"split_column": "fold", "test_dataset": "{dir}/test.csv"},
        found="15 rows ... (2, 4, 6, 8, 10, ...) ... {dir}/test.csv",
        where="{file}, split column",
        remedy="omit --split-column",
    ),
    "one group for all": Case(
        with_column("user", "ann"),
        {"group_column": "user"},
        found=NO_TEST_ROWS,
        remedy=f"{MORE} ... --group-column",
    ),
    "too few rows to split": Case(
        {"data.csv": "text,label\ngood,a\nbad,b\nshop,a\nopen,b\n"}, found=NO_TEST_ROWS, remedy=MORE
    ),
    "nothing to test on": Case(PLAIN, {"test_fraction": 0.0}, NO_TEST_ROWS, remedy=MORE),
    "a fraction of one": fraction("test_fraction", 1.0, "1"),
    "a negative fraction": fraction("validation_fraction", -0.1, "-0.1"),
    "a fraction that is no number": fraction("test_fraction", float("nan"), "nan"),
    "fractions that leave nothing": Case(
        PLAIN,
        {"validation_fraction": 0.5, "test_fraction": 0.5},
        found="100%",
        where="validation_fraction, test_fraction",
        expected="below 1",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_splits_that_cannot_be_made_are_refused(case: Case, refuse: Callable[[Case], None]) -> None:
    refuse(case)
