"""Columns that are kept for the evaluation to compare scores by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.errors import InputError
from tests import tiny


def rows(count: int) -> list[dict[str, Any]]:
    channels = ("mail", "", 7)
    return [
        {**row, "category": channels[i % 3], "a,b": i} for i, row in enumerate(tiny.rows(count))
    ]


@pytest.fixture
def load(tiny_model: Path, tmp_path: Path) -> Any:
    def load(**parameters: Any) -> Path:
        data = tiny.write_csv(tmp_path / "data.csv", rows(60))
        return tiny.tokenize(
            tmp_path, dataset=str(data), model=str(tiny_model), max_length=16, **parameters
        )

    return load


def test_they_are_kept_beside_the_rows_they_belong_to(load: Any) -> None:
    folder = load(slice_columns="category", text_column="text", label_column="label")
    assert artifact.read(folder).slice_columns == ["category"]
    name = artifact.slice_name("category")
    for split in ("validation", "test"):
        table = artifact.open_split(folder, split)
        expected = [("mail", None, "7")[i % 3] for i in table["row"].to_pylist()]
        assert table[name].to_pylist() == expected
        assert len(expected) == 6
    assert name not in artifact.open_split(folder, "train").column_names


def test_a_column_that_is_compared_by_is_not_taken_for_the_label(load: Any) -> None:
    # "category" and "label" are both usual names of a label.
    with pytest.raises(InputError, match="cannot infer the label column: several qualify"):
        load()
    assert artifact.read(load(slice_columns="category")).label_column == "label"


@pytest.mark.parametrize(
    ("given", "kept"), [("a,b", ["a,b"]), ("category,text", ["category", "text"])]
)
def test_one_may_have_a_comma_in_its_name(load: Any, given: str, kept: list[str]) -> None:
    folder = load(slice_columns=given, text_column="text", label_column="label")
    assert artifact.read(folder).slice_columns == kept


def test_a_missing_column_is_reported(load: Any) -> None:
    with pytest.raises(InputError) as caught:
        load(slice_columns="categorie", text_column="text", label_column="label")
    assert caught.value.found == "there is no column 'categorie'"
    assert "slice_columns" in caught.value.where
    assert caught.value.remedy == "--slice-columns category"
