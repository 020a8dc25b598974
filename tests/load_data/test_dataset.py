"""load_data as a whole: from files to a tokenized dataset that says what is in it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.columns import map_columns
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.opening import open_source
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.rows import read_rows
from kfp_finetune.components.load_data.stratification import assign_splits, stratified_sample
from kfp_finetune.components.tasks.text_classification.task import TASK
from kfp_finetune.components.tasks.values import LabelValues, Values
from tests import tiny


def load(tmp_path: Path, dataset: Path, model: Path, **parameters: Any) -> Any:
    parameters = {"max_length": 16} | parameters
    return load_data(
        Parameters(dataset=str(dataset), model=str(model), **parameters),
        str(tmp_path / "out"),
        str(tmp_path / "data.html"),
    )


def write(path: Path, data: list[dict[str, Any]]) -> Path:
    """The same rows in the format that the suffix names."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(data), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in data))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(
                file, list(data[0]), delimiter="\t" if path.suffix == ".tsv" else ","
            )
            writer.writeheader()
            writer.writerows(data)
    return path


@pytest.mark.parametrize("name", ["data.csv", "data.tsv", "data.jsonl", "data.parquet", "folder"])
def test_every_format_gives_the_same_dataset(name: str, tiny_model: Path, tmp_path: Path) -> None:
    data = tiny.rows(60)
    data[3]["text"] = 'say "good, money",\tnow\nand back'
    if name == "folder":
        (tmp_path / name).mkdir()
        write(tmp_path / name / "train.csv", data)
        path = tmp_path / name
    else:
        path = write(tmp_path / name, data)
    manifest = load(tmp_path, path, tiny_model)
    assert manifest.label_names == ["delivery", "payment", "returns"]
    assert manifest.text_column == "text"
    assert {s: c.rows for s, c in manifest.splits.items()} == {
        "train": 48,
        "validation": 6,
        "test": 6,
    }

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    seen = []
    for split in artifact.SPLITS:
        for row in artifact.open_split(tmp_path / "out", split).to_pylist():
            source = data[row["row"]]
            assert row["label"] == manifest.label_names.index(source["label"])
            expected = tokenizer(source["text"], truncation=True, max_length=16)["input_ids"]
            assert row["input_ids"] == expected
            assert row.get("text") == (None if split == "train" else source["text"])
            seen.append(row["row"])
    assert sorted(seen) == list(range(60))


def test_pairs_carry_token_types(tiny_model: Path, tmp_path: Path) -> None:
    data = [{"a": row["text"], "b": "open shop", "label": row["label"]} for row in tiny.rows(30)]
    path = write(tmp_path / "pairs.csv", data)
    manifest = load(tmp_path, path, tiny_model, text_column="a", text_pair_column="b")
    assert manifest.has_token_type_ids
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for row in artifact.open_split(tmp_path / "out", "test").to_pylist():
        expected = tokenizer(row["text"], row["text_pair"], truncation=True, max_length=16)
        assert row["input_ids"] == expected["input_ids"]
        assert row["token_type_ids"] == expected["token_type_ids"]


def test_ids_may_be_unused_in_a_vocabulary(tmp_path: Path) -> None:
    """A vocab.txt with a line that occurs twice: the second id counts, the first is unused."""
    words = tiny.WORDS
    model = tiny.write_model(tmp_path / "model", vocab_size=len(tiny.SPECIAL) + len(words) + 1)
    (model / "tokenizer.json").unlink()
    (model / "vocab.txt").write_text("\n".join([*tiny.SPECIAL, *words, words[0]]) + "\n")
    data = write(
        tmp_path / "data.csv",
        [row | {"text": f"{words[0]} {row['text']}"} for row in tiny.rows(60)],
    )
    manifest = load(tmp_path, data, model)
    ids = artifact.open_split(tmp_path / "out", "train")["input_ids"].to_pylist()
    assert max(map(max, ids)) == manifest.vocab_size - 1 == len(tiny.SPECIAL) + len(words)


def test_given_splits_are_used_as_they_are(tiny_model: Path, tmp_path: Path) -> None:
    paths = {
        name: write(tmp_path / f"{name}.csv", tiny.rows(count, seed=count))
        for name, count in (("train", 30), ("validation", 12), ("test", 9))
    }
    manifest = load(
        tmp_path,
        paths["train"],
        tiny_model,
        validation_dataset=str(paths["validation"]),
        test_dataset=str(paths["test"]),
    )
    assert {s: c.rows for s, c in manifest.splits.items()} == {
        "train": 30,
        "validation": 12,
        "test": 9,
    }


def test_a_folders_own_splits_are_used(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.jsonl", tiny.rows(30))
    write(folder / "test.jsonl", tiny.rows(9, seed=1))
    manifest = load(tmp_path, folder, tiny_model)
    assert manifest.splits["test"].rows == 9
    assert manifest.splits["validation"].rows == 3


def test_long_texts_are_cut_and_counted(tiny_model: Path, tmp_path: Path) -> None:
    data = tiny.rows(40)
    for row in data[:10]:
        row["text"] = " ".join(["good"] * 50)
    manifest = load(tmp_path, write(tmp_path / "long.csv", data), tiny_model, max_length=20)
    assert manifest.truncated_share == 0.25
    lengths = [
        len(row["input_ids"])
        for split in artifact.SPLITS
        for row in artifact.open_split(tmp_path / "out", split).to_pylist()
    ]
    assert lengths.count(20) == 10
    assert max(lengths) == 20


def test_bad_rows_are_dropped_and_counted_when_asked(tiny_model: Path, tmp_path: Path) -> None:
    data = tiny.rows(60)
    data[4]["text"] = "  "
    data[5]["label"] = ""
    data[6]["label"] = ""
    path = write(tmp_path / "bad.csv", data)
    with pytest.raises(InputError) as error:
        load(tmp_path, path, tiny_model)
    assert str(error.value) == (
        "1 row (5): no text in column 'text'; 2 rows (6, 7): no label in column 'label'\n"
        f"  where:    {path}\n"
        "  expected: a text and a label in every row\n"
        "  remedy:   repair the rows, or --on-bad-row drop to omit them"
    )
    counts = load(tmp_path, path, tiny_model, on_bad_row="drop").splits["train"]
    assert counts.dropped == {"no text in column 'text'": 1, "no label in column 'label'": 2}
    assert counts.rows_read == counts.rows + 3


def test_rows_that_cannot_be_read_are_named_or_dropped(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    write(path, [row | {"text": row["text"] + ', "so"'} for row in tiny.rows(60)])
    path.write_text(path.read_text() + '"good,payment\nbad,returns,x\n')
    with pytest.raises(InputError) as error:
        load(tmp_path, path, tiny_model)
    assert str(error.value) == (
        "1 row (61): a quote that is not closed; 1 row (62): 3 cells for 2 columns\n"
        f"  where:    {path}, line 62\n"
        "  expected: a text and a label in every row\n"
        "  remedy:   repair the rows, or --on-bad-row drop to omit them, or --quoting none if"
        " quotes are plain characters"
    )
    counts = load(tmp_path, path, tiny_model, on_bad_row="drop").splits["train"]
    assert counts.dropped == {"a quote that is not closed": 1, "3 cells for 2 columns": 1}


def test_rows_that_are_read_and_rows_that_are_counted_agree(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "data.csv", tiny.rows(9))))
    columns = map_columns(source, TASK)
    read_rows(source, columns, LabelValues(), Values())
    wrong = replace(source, rows=10)
    with pytest.raises(RuntimeError, match="9 rows were read but 10 were counted; this is a bug"):
        read_rows(wrong, columns, LabelValues(), Values())


def test_a_cap_keeps_the_labels_in_proportion(tiny_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", tiny.rows(150))
    counts = load(tmp_path, path, tiny_model, max_train_samples=30).splits["train"]
    assert (counts.rows, counts.dropped) == (30, {"over max_train_samples": 90})
    labels = artifact.open_split(tmp_path / "out", "train")["label"].to_pylist()
    assert sorted(labels.count(i) for i in range(3)) == [10, 10, 10]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([10, 9, 2], ["2", "9", "10"]),
        (["10", "9", "2"], ["2", "9", "10"]),
        (["b", "a", "C"], ["C", "a", "b"]),
        ([True, False, True], ["false", "true"]),
        ([1.0, 0.0, 1.0], ["0", "1"]),
    ],
)
def test_labels_have_a_stable_order(
    values: list[Any], names: list[str], tiny_model: Path, tmp_path: Path
) -> None:
    data = [dict(row, label=values[i % 3]) for i, row in enumerate(tiny.rows(30))]
    manifest = load(tmp_path, write(tmp_path / "data.jsonl", data), tiny_model)
    assert manifest.label_names == names


@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    fraction=st.floats(0.05, 0.4),
    seed=st.integers(0, 1000),
)
def test_made_splits_are_stratified_and_leave_every_label_something(
    sizes: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    assignment = assign_splits(labels, {"validation": fraction, "test": fraction}, seed)
    np.testing.assert_array_equal(
        assignment, assign_splits(labels, {"validation": fraction, "test": fraction}, seed)
    )
    assert set(labels[assignment == 0].tolist()) == set(range(len(sizes)))
    wanted = round(fraction * len(labels))
    spare = len(labels) - len(sizes)
    assert (assignment == 1).sum() == min(wanted, spare)
    rows = np.arange(len(labels), dtype=np.uint32)
    chosen = stratified_sample(labels, rows, wanted, seed)
    share = min(wanted, spare) / max(spare, 1)
    for label, size in enumerate(sizes):
        assert abs((labels[chosen] == label).sum() - share * (size - 1)) <= 1


WRONG = {
    "unknown column": (
        {"label_column": "lable"},
        "there is no column 'lable'\n"
        "  where:    {dir}/data.csv (label_column)\n"
        "  expected: one of 'text', 'label'\n"
        "  remedy:   --label-column label",
    ),
    "empty file": (
        {"content": ""},
        "the file has no rows\n"
        "  where:    {dir}/data.csv\n"
        "  expected: a header and at least one row\n"
        "  remedy:   check that this is the right file",
    ),
    "header only": (
        {"content": "text,label\n"},
        "the file has no rows\n"
        "  where:    {dir}/data.csv\n"
        "  expected: a header and at least one row\n"
        "  remedy:   check that this is the right file",
    ),
    "one label": (
        {"content": "text,label\n" + "good,a\n" * 20},
        "every row has the same label: 'a'\n"
        "  where:    {dir}/data.csv, column 'label'\n"
        "  expected: at least two different labels\n"
        "  remedy:   name another --label-column, or use data with more labels",
    ),
    "a label per row": (
        {"content": "text,label\n" + "".join(f"good,id{i}\n" for i in range(20))},
        "20 different labels in 20 rows\n"
        "  where:    {dir}/data.csv, column 'label'\n"
        "  expected: labels that repeat; this looks like an id or a text\n"
        "  remedy:   name another --label-column",
    ),
    "ragged row": (
        {"content": "text,label\ngood,a\nbad,b,c\n"},
        "1 row (2): 3 cells for 2 columns\n"
        "  where:    {dir}/data.csv, line 3\n"
        "  expected: a text and a label in every row\n"
        "  remedy:   repair the rows, or --on-bad-row drop to omit them",
    ),
    "ambiguous text": (
        {"content": "title,body,label\na,b,c\n"},
        "cannot infer the text column: several qualify ('title', 'body')\n"
        "  where:    {dir}/data.csv\n"
        "  expected: text_column to name one of 'title' (e.g. 'a'), 'body' (e.g. 'b'),"
        " 'label' (e.g. 'c')\n"
        "  remedy:   --text-column title",
    ),
    "max_length over the model's": (
        {"max_length": 41},
        "max_length is 41\n"
        "  where:    max_length\n"
        "  expected: 4 to 40 tokens, the limits of the model\n"
        "  remedy:   --max-length 40",
    ),
    "a test label that cannot be learned": (
        {"test_content": "text,label\ngood,refunds\n"},
        "1 label not in the training data: 'refunds'\n"
        "  where:    {dir}/test.csv (test), row 1\n"
        "  expected: only labels that occur in the training data\n"
        "  remedy:   add rows with these labels to the training data, or remove these rows",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_message(case: str, tiny_model: Path, tmp_path: Path) -> None:
    change, message = WRONG[case]
    change = dict(change)
    path = tiny.write_csv(tmp_path / "data.csv", tiny.rows(30))
    if "content" in change:
        path.write_text(change.pop("content"))
    if "dataset" in change:
        path = tmp_path / change.pop("dataset")
    if "test_content" in change:
        test = tmp_path / "test.csv"
        test.write_text(change.pop("test_content"))
        change["test_dataset"] = str(test)
    with pytest.raises(InputError) as error:
        load(tmp_path, path, tiny_model, **change)
    assert str(error.value) == message.replace("{dir}", str(tmp_path))
