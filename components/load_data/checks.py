"""Checks of load_data's parameters that open no file and do not need numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.delimiters import parse_delimiter
from kfp_finetune.components.load_data.readers.source import ReadOptions, check_options
from kfp_finetune.components.tasks.registry import TASKS, get_task

_FRACTIONS = ("validation_fraction", "test_fraction")


def read_options(values: Mapping[str, Any]) -> ReadOptions:
    """The options for reading files.

    Args:
        values: The parameters of load_data, by name.
    """
    names = values["column_names"]
    plain_text: str = get_task(values["task"]).plain_text
    if plain_text == "lines" and values["delimiter"] is not None:
        plain_text = "table"
    return ReadOptions(
        dataset_config=values["dataset_config"],
        dataset_revision=values["dataset_revision"],
        delimiter=values["delimiter"],
        quoting=values["quoting"],
        encoding=values["encoding"],
        plain_text=plain_text,
        column_names=tuple(n.strip() for n in names.split(",")) if names else None,
    )


def check_parameters(values: Mapping[str, Any]) -> list[InputError]:
    """Return an error for every invalid parameter.

    Args:
        values: The parameters of load_data, by name.
    """
    task = values["task"]
    problems = InputError.found_by(lambda: get_task(task))
    if task in TASKS:
        problems += TASKS[task].check_data_parameters(values)
        problems += InputError.found_by(lambda: check_options(read_options(values)))
    problems += _fractions({name: values[name] for name in _FRACTIONS})
    if values["delimiter"]:
        problems += InputError.found_by(lambda: parse_delimiter(values["delimiter"]))
    return problems + _numbers(values)


def _fractions(shares: Mapping[str, float]) -> list[InputError]:
    problems = [
        InputError(
            f"{name} is {share:g}",
            where=name,
            expected="a share of the rows, at least 0 and below 1",
            remedy=f"--{name.replace('_', '-')} 0.1",
        )
        for name, share in shares.items()
        if not 0 <= share < 1
    ]
    if not problems and sum(shares.values()) >= 1:
        problems.append(
            InputError(
                f"the validation and test splits would use {sum(shares.values()):.0%} of the rows",
                where=", ".join(shares),
                expected="a sum below 1, so that rows are left for training",
                remedy="--validation-fraction 0.1 --test-fraction 0.1",
            )
        )
    return problems


def _numbers(values: Mapping[str, Any]) -> list[InputError]:
    problems = [
        InputError(
            f"{name} is {values[name]}",
            where=name,
            expected="a whole number of at least 1",
            remedy=f"--{name.replace('_', '-')} 128",
        )
        for name in ("max_train_samples", "max_length")
        if values[name] is not None and values[name] < 1
    ]
    if not 0 <= values["seed"] < 2**32:
        problems.append(
            InputError(
                f"seed is {values['seed']}",
                where="seed",
                expected="a whole number from 0 to 4294967295 (numpy's limit)",
                remedy="--seed 42",
            )
        )
    return problems
