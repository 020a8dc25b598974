"""Data to score a trained model on: no training split, and the model's labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.artifacts import data_report
from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_evaluation_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from tests import tiny

NAMES = ["returns", "payment", "delivery"]  # not in the order of a sort


@pytest.fixture
def load(tiny_model: Path, tmp_path: Path) -> Any:
    def load(
        rows: list[dict[str, Any]], names: list[str], problem_type: str, **parameters: Any
    ) -> tuple[artifact.TokenizedDatasetManifest, list[Any]]:
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        given = Parameters(dataset=str(path), model=str(tiny_model), max_length=16, **parameters)
        out = tmp_path / "out"
        page = tmp_path / "data.html"
        manifest = load_evaluation_data(given, names, problem_type, str(out), str(page))
        assert artifact.open_split(out, "train").num_rows == 0
        assert artifact.open_split(out, "validation").num_rows == 0
        assert page.read_text().startswith("<!")
        return manifest, artifact.open_split(out, "test").column("label").to_pylist()

    return load


def test_every_row_is_tested_with_the_models_ids(load: Any, tmp_path: Path) -> None:
    rows = tiny.rows(20)
    manifest, labels = load(rows, NAMES, SINGLE_LABEL)
    assert manifest.label_names == NAMES
    assert labels == [NAMES.index(row["label"]) for row in rows]
    assert {s: c.rows for s, c in manifest.splits.items()} == {
        "train": 0,
        "validation": 0,
        "test": 20,
    }
    texts = artifact.open_split(tmp_path / "out", "test").column("text").to_pylist()
    assert texts == [row["text"] for row in rows]
    report = data_report.read(tmp_path / "out")
    assert report.warnings == []
    assert report.labels["delivery"] == {"train": 0, "validation": 0, "test": 7}


def test_one_row_and_one_label_will_do(load: Any) -> None:
    assert load(tiny.rows(1), NAMES, SINGLE_LABEL)[1] == [2]


@pytest.mark.parametrize(
    ("names", "values", "ids"),
    [
        (["1", "2", "3"], [1, 3], [0, 2]),  # stars: the numbers are the names
        (["1", "2", "3"], ["1", "3"], [0, 2]),
    ],
)
def test_numbers_as_labels(load: Any, names: list[str], values: list[Any], ids: list[int]) -> None:
    rows = [{"text": "good card", "label": value} for value in values]
    assert load(rows, names, SINGLE_LABEL)[1] == ids


def test_numbers_are_scored_only_if_their_names_are_declared(load: Any, tmp_path: Path) -> None:
    rows = [{"text": "good card", "label": value} for value in (0, 2)]
    with pytest.raises(InputError, match="numbers such as 0, but the model's labels have names"):
        load(rows, NAMES, SINGLE_LABEL)
    (tmp_path / "names.txt").write_text("delivery\npayment\nreturns\n")  # in the data's order
    given = str(tmp_path / "names.txt")
    assert load(rows, NAMES, SINGLE_LABEL, label_names=given)[1] == [2, 0]


def test_multi_label(load: Any) -> None:
    rows = [{"text": "card", "label": label} for label in ("payment|returns", "delivery|payment")]
    assert load(rows, NAMES, MULTI_LABEL)[1] == [[0, 1], [1, 2]]
    columns = [
        {"text": "card", "delivery": 1, "returns": 0},
        {"text": "x", "delivery": 1, "returns": 1},
    ]
    assert load(columns, NAMES, MULTI_LABEL, label_column="delivery,returns")[1] == [[2], [0, 2]]


def test_regression(load: Any) -> None:
    rows = [{"text": "card", "label": 1}, {"text": "good card", "label": 2.5}]
    manifest, labels = load(rows, [], REGRESSION)
    assert (manifest.label_names, labels) == ([], [1.0, 2.5])


def test_bad_rows_are_counted(load: Any) -> None:
    rows = [*tiny.rows(3), {"text": "", "label": "payment"}]
    manifest, _ = load(rows, NAMES, SINGLE_LABEL, on_bad_row="drop")
    assert manifest.splits["test"].rows_read == 4
    assert manifest.splits["test"].dropped == {"no text in column 'text'": 1}
    with pytest.raises(InputError, match=r"1 row \(4\): no text"):
        load(rows, NAMES, SINGLE_LABEL)


@pytest.mark.parametrize(
    ("names", "rows", "parameters", "message"),
    [
        (NAMES, [{"text": "card", "label": "paymnt"}], {},
         "1 unknown label: 'paymnt'\n  where:    column 'label', row 1 of {dir}/data.jsonl\n"
         "  expected: one of 'returns', 'payment', 'delivery'\n"
         "  remedy:   fix the labels ('paymnt' may mean 'payment'), or score a model that was"
         " trained with them"),
        (["1", "2"], [{"text": "card", "label": 0}], {}, "1 unknown label: '0'\n"),
        (NAMES, [{"text": "card", "delivery": 1, "returns": 0}],
         {"label_column": "delivery,returns"},
         "the problem type is single_label_classification, but there are several label columns\n"),
    ],
)  # fmt: skip
def test_labels_the_model_does_not_know(
    load: Any,
    names: list[str],
    rows: list[Any],
    parameters: dict[str, str],
    message: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError) as caught:
        load(rows, names, SINGLE_LABEL, **parameters)
    assert str(caught.value).replace(str(tmp_path), "{dir}").startswith(message)


def test_the_test_split_of_a_folder(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, count in (("train", 9), ("test", 6)):
        tiny.write_csv(folder / f"{name}.csv", tiny.rows(count))
    parameters = Parameters(dataset=str(folder), model=str(tiny_model), max_length=16)
    paths = str(tmp_path / "out"), str(tmp_path / "data.html")
    manifest = load_evaluation_data(parameters, NAMES, SINGLE_LABEL, *paths)
    assert manifest.splits["test"].rows == 6
    assert "using the dataset's own test split" in data_report.read(tmp_path / "out").notes
