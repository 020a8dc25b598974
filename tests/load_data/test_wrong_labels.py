"""Labels that cannot be learned, that contradict the problem type, or lack a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.readers.source import Batch, Source
from kfp_finetune.components.load_data.rows import read_rows
from kfp_finetune.components.tasks.values import LabelValues, Values
from tests.load_data.refused import GOOD, PLAIN, ROWS, Case, Files, csv_of, labelled, with_column

FIRST = "1, 3, 5, 7, 9, ..."
SECOND = "2, 4, 6, 8, 10, ..."
THIRD = "1, 4, 7, 10, 13, ..."
LABELS = "{file}, column 'label'"


def values(files: Files, rows: str, found: str, **parts: Any) -> Case:
    return Case(files, found=found, where=f"column 'label', rows {rows} of {{file}}", **parts)


def too_large(value: float, found: str, **given: str) -> Case:
    expected = "3.4e+38, the largest of float32"
    return values(labelled(0.5, value), SECOND, found, given=given, expected=expected)


def names(content: str, found: str, expected: str, remedy: str = "", name: str = "n.txt") -> Case:
    """A file of label names that cannot be used."""
    given = {"label_names": f"{{dir}}/{name}"}
    return Case(
        {"data.csv": GOOD, name: content}, given, found, f"{{dir}}/{name}", expected, remedy
    )


def not_a_list(content: str) -> Case:
    return names(content, "not a list", '["first", "second"]', ".txt", "n.json")


UTF8 = "UTF-8 ... .json"
CASES = {
    "one label": Case(
        {"data.csv": "text,label\n" + "good,a\n" * 20},
        found="same label: 'a'",
        where=LABELS,
        remedy="--label-column",
    ),
    "the same amount in every row": Case(
        labelled(0.5), found="same label: '0.5'", where=LABELS, remedy="--label-column"
    ),
    "a label for every row": Case(
        {"data.csv": "text,label\n" + "".join(f"good {i},id{i}\n" for i in range(20))},
        found="20 different labels in 20 rows",
        where=LABELS,
        remedy="--label-column",
    ),
    "a test label that cannot be learned": Case(
        {"data.csv": GOOD, "test.csv": "text,label\ngood,refunds\nbad,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
        found="1 label not in the training data: 'refunds'",
        where="{dir}/test.csv (test), row 1",
    ),
    "a positive label that is no label": Case(
        labelled("ham", "spam"),
        {"positive_label": "spm"},
        found="'spm' is not a label",
        where="positive_label",
        expected="'ham', 'spam'",
        remedy="--positive-label spam",
    ),
    "a positive label among three": Case(
        PLAIN,
        {"positive_label": "returns"},
        found="the data has 3 labels",
        where="positive_label",
        expected="'delivery', 'payment', 'returns'",
        remedy="omit --positive-label",
    ),
    "a positive label of numbers": Case(
        labelled(0.5, 1.5, 2.25),
        {"positive_label": "1.5"},
        found="regression has no positive label",
        where="positive_label",
        remedy="omit --positive-label",
    ),
    "objects for labels": values(
        labelled({"name": "a"}, {"name": "b"}), FIRST, "{'name': 'a'}", remedy="--label-column"
    ),
    "a list of nothing for a label": values(
        labelled(["a", None], ["b"]), FIRST, "list of labels ... null"
    ),
    "fractions as classes": values(
        labelled(0.5, 1.5),
        FIRST,
        "0.5 cannot be a label",
        given={"problem_type": "single_label_classification"},
        remedy="--problem-type regression",
    ),
    "lists as single labels": values(
        labelled(["a", "b"], ["b"]),
        "1, 2, 3, 4, 5, ...",
        "['a', 'b'] is a list",
        given={"problem_type": "single_label_classification"},
        remedy="--problem-type multi_label_classification",
    ),
    "words for amounts": values(
        PLAIN,
        THIRD,
        "'delivery' is not a number",
        given={"problem_type": "regression"},
        remedy="--problem-type single_label_classification",
    ),
    "an infinite amount": too_large(1e999, "too large", problem_type="regression"),
    "an amount beyond float32": too_large(1e300, "1e+300"),
    "an amount beyond float64": too_large(10**400, "too large", problem_type="regression"),
    "a mark that is neither 0 nor 1": values(
        with_column("a", "0", "1", "2"),
        THIRD,
        "'delivery' is neither 0 nor 1",
        given={"label_column": "a,label"},
        expected="0 or 1",
        remedy="--label-column",
    ),
    "several columns for an amount": Case(
        with_column("a", "0", "1"),
        {"label_column": "a,label", "problem_type": "regression"},
        found="regression",
        where="column 'a', 'label'",
        expected="multi_label_classification",
        remedy="--label-column ... omit --problem-type",
    ),
    "no such problem type": Case(
        PLAIN,
        {"problem_type": "multilabel"},
        found="problem_type 'multilabel'",
        where="problem_type",
        expected="single_label_classification, multi_label_classification",
        remedy="--problem-type auto",
    ),
    "label names for several columns": Case(
        with_column("a", "0", "1") | {"names.txt": "x\ny\n"},
        {"label_column": "a,label", "label_names": "{dir}/names.txt"},
        found="label names are given ... label columns",
        where="column 'a', 'label'",
        remedy="omit --label-names",
    ),
    "label names for amounts": Case(
        {"data.csv": csv_of([row | {"label": i / 7} for i, row in enumerate(ROWS)]), "n.txt": "x"},
        {"problem_type": "regression", "label_names": "{dir}/n.txt"},
        found="label names are given ... numbers",
        where="label_names",
        remedy="omit --label-names ... --problem-type single_label_classification",
    ),
    "no such file of label names": Case(
        PLAIN,
        {"label_names": "{dir}/n.txt"},
        found="No such file",
        where="{dir}/n.txt",
        expected=UTF8,
        remedy="--label-names",
    ),
    "a folder of label names": Case(
        PLAIN,
        {"label_names": "{dir}"},
        found="Is a directory",
        where="{dir}",
        expected=UTF8,
        remedy="--label-names",
    ),
    "an empty file of label names": names("\n", "no label names", "JSON"),
    "a label name twice": names("delivery\nreturns\ndelivery\n", "'delivery' ... twice", "JSON"),
    "label names that are no JSON": names(
        "delivery", "cannot be read ... line 1", UTF8, "--label-names", "n.json"
    ),
    "label names that are a number": not_a_list("3"),
    "label names that are an object": not_a_list('{"0": "delivery"}'),
    "label names that are lists": not_a_list('[["delivery"], ["returns"]]'),
    "label names without one that occurs": values(
        {"data.csv": GOOD, "n.txt": "delivery\nreturn\n"},
        "2, 3, 5, 6, 8, ...",
        "2 unknown labels: 'payment', 'returns'",
        given={"label_names": "{dir}/n.txt"},
        expected="'delivery', 'return'",
        remedy="--label-names",
    ),
    "a label id beyond the names": values(
        labelled(0, 1, 7) | {"n.txt": "a\nb\n"},
        "3, 6, 9, 12, 15, ...",
        "label 7 ... 2 named labels",
        given={"label_names": "{dir}/n.txt"},
        expected="0 to 1",
        remedy="--label-names",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_labels_that_cannot_be_learned_are_refused(
    case: Case, refuse: Callable[[Case], None]
) -> None:
    refuse(case)


def test_a_number_without_a_declared_name_is_shown_with_its_row() -> None:
    batches = [
        Batch({"text": ["a", "b"], "label": [0, 1]}),
        Batch({"text": ["c", "d"], "label": [-1, 5]}),
    ]
    source = Source(
        "data.arrow", ["text", "label"], lambda: iter(batches), label_names={"label": ["x", "y"]}
    )
    columns = ColumnMapping("text", None, ("label",))
    with pytest.raises(InputError) as caught:
        read_rows(source, columns, LabelValues(), Values())
    assert "label 5 is not one of the 2 labels" in caught.value.found
    assert caught.value.where == "data.arrow, column 'label', row 4"
