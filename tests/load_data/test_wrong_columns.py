"""Columns that do not exist or are not unique, and rows without a text or a label."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.load_data.refused import GOOD, PLAIN, Case, json_lines, labelled, with_column

DROP = "--on-bad-row drop"
NAMES = "--column-names label,text"
CHECK = "--text-column and --label-column"


def missing(parameter: str, value: str, remedy: str, name: str = "") -> Case:
    return Case(
        with_column("a", "0", "1"),
        {parameter: value},
        found=f"no column '{name or value}'",
        where=f"{{file}} ({parameter})",
        expected="'text', 'label', 'a'",
        remedy=remedy,
    )


def twice(**given: str) -> Case:
    where = "text_column, text_pair_column, label_column"
    return Case(PLAIN, given, "'label' ... twice", where, remedy="'text', 'label'")


def names(value: str, found: str, **parts: str) -> Case:
    return Case(PLAIN, {"column_names": value}, found, **({"where": "column_names"} | parts))


def bad_rows(content: str, found: str, name: str = "data.csv") -> Case:
    return Case({name: content}, found=found, expected="a text and a label", remedy=DROP)


CASES = {
    "no such text column": missing("text_column", "txt", "--text-column text"),
    "no such pair column": missing("text_pair_column", "text2", "--text-pair-column text"),
    "no such label column": missing("label_column", "lable", "--label-column label"),
    "one of several label columns": missing("label_column", "a,b", "--label-column", "b"),
    "a comma for label columns": missing("label_column", ",", "--label-column"),
    "no such group column": missing("group_column", "user", "--group-column"),
    "no such split column": missing("split_column", "split", "--split-column"),
    "text and label in one column": twice(text_column="label", label_column="label"),
    "one label column twice": twice(label_column="label,label"),
    "two columns that may be the text": Case(
        {"data.csv": "title,body,label\n" + "good,bad,a\n" * 9},
        found="text column ... 'title', 'body'",
        expected="text_column ... 'title' (e.g. 'good')",
        remedy="--text-column title",
    ),
    "no column that may be the label": Case(
        {"data.csv": "text,kind\n" + "good,a\n" * 9},
        found="label column ... none has a usual name",
        expected="label_column ... 'text' (e.g. 'good')",
        remedy="--label-column kind",
    ),
    "several columns that may be the label": Case(
        {"data.csv": "title,body,kind\n" + "".join(f"good {i},bad {i},a\n" for i in range(9))},
        found="label column ... none has a usual name",
        remedy="--label-column kind",
    ),
    "a test set without the text column": Case(
        {"data.csv": GOOD, "test.csv": "message,label\ngood,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
        found="no column 'text'",
        where="{dir}/test.csv",
        expected="'message', 'label'",
    ),
    "too few column names": names(
        "text",
        "column_names ... 1 name ... 2 cells: 'text', 'label'",
        where="{file}",
        remedy="--column-names column_1,column_2",
    ),
    "column names twice": names("text,text", "column_names repeats 'text'", remedy=NAMES),
    "an empty column name": names("text,", "column_names ... empty", remedy=NAMES),
    "column names beside a header": names(
        "text,label",
        "already ... column_names",
        where="{file}",
        expected="without a header",
        remedy="omit --column-names",
    ),
    "texts that are numbers": bad_rows(
        json_lines([{"text": 3, "label": "a"}, {"text": ["x"], "label": "b"}]),
        "1 row (1) ... a number ... 'text'; 1 row (2) ... a list ... 'text'",
        "data.jsonl",
    ),
    "an empty text": bad_rows(GOOD + " ,returns\n", "1 row (31): no text ... 'text'"),
    "a missing label": bad_rows(
        GOOD + "good,\n" + "good open,\n", "2 rows (31, 32): no label ... 'label'"
    ),
    "a missing label among JSON lines": Case(
        labelled("a", "b", None), found="10 rows (3, 6, 9, 12, 15, ...) ... no label", remedy=DROP
    ),
    "no row that can be used": Case(
        {"data.csv": "text,label\n" + "good,\n" * 9},
        {"on_bad_row": "drop"},
        found="no usable rows: 9 rows (1, 2, 3, 4, 5, ...)",
        remedy=CHECK,
    ),
    "a test set without a row that can be used": Case(
        {"data.csv": GOOD, "test.csv": "text,label\n,returns\n"},
        {"test_dataset": "{dir}/test.csv", "on_bad_row": "drop"},
        found="no usable rows: 1 row (1) ... 'text'",
        where="{dir}/test.csv",
        remedy=CHECK,
    ),
    "every training row is in the test set": Case(
        {"data.csv": GOOD, "test.csv": GOOD},
        {"test_dataset": "{dir}/test.csv", "validation_fraction": 0.0, "drop_overlap": True},
        found="every training row ... test split",
        where="{dir}/test.csv",
        remedy="omit --drop-overlap",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_columns_and_rows_that_cannot_be_used_are_refused(
    case: Case, refuse: Callable[[Case], None]
) -> None:
    refuse(case)
