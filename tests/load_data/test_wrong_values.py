"""Parameters with values that are out of range or unknown, and models that are not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.load_data.refused import PLAIN, Case


def value(name: str, value: object, expected: str, remedy: str, found: str = "") -> Case:
    found = found or f"{name} is {value!r}"
    return Case(PLAIN, {name: value}, found, name, expected, f"--{name.replace('_', '-')} {remedy}")


def model(name: str, found: str, expected: str, remedy: str, where: str = "model: {}") -> Case:
    return Case(PLAIN, {"model": name}, found, where.replace("{}", name), expected, remedy)


SEEDS = "0 to 4294967295"
CASES = {
    "no training samples": value("max_train_samples", 0, "at least 1", "128"),
    "fewer training samples than labels": value(
        "max_train_samples", 2, "row per label", "12", "max_train_samples is 2 ... 3 labels"
    ),
    "no tokens": value("max_length", 0, "at least 1", "128"),
    "too few tokens": value("max_length", 3, "4 to 40", "40"),
    "more tokens than the model takes": value("max_length", 41, "4 to 40", "40"),
    "a negative seed": value("seed", -1, SEEDS, "42"),
    "a seed that is too large": value("seed", 2**32, SEEDS, "42"),
    "no such treatment of bad rows": value("on_bad_row", "skip", "error or drop", "drop"),
    "a treatment of tagged words": value("on_bad_row", "repair", "error or drop", "drop"),
    "no such task": value(
        "task", "translation", "token-classification", "text-classification", "task 'translation'"
    ),
    "no such model": model("{dir}/model", "no such folder", "Hub id", "relative to {here}"),
    "the model of nobody's home": model(
        "~no-such-user/model", "no such folder", "Hub id", "relative to {here}"
    ),
    "a folder that holds no model": model(
        "{dir}", "no config.json", "tokenizer", "contains: data.csv", where="{}"
    ),
    "a Hub model while offline": model(
        "someone/nothing",
        "HF_HUB_OFFLINE",
        "Hub's cache",
        "HF_HUB_OFFLINE ... `hf download someone/nothing`",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_that_cannot_be_used_are_refused(case: Case, refuse: Callable[[Case], None]) -> None:
    refuse(case)
