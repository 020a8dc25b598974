"""Wrong input, case by case: the files that are there, and the parameters that are given."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests import tiny

Files = dict[str, "str | bytes | Callable[[Path], object]"]


def csv_of(data: list[dict[str, Any]], delimiter: str = ",") -> str:
    """Rows whose cells need no quotes."""
    lines = [list(data[0]), *(list(map(str, row.values())) for row in data)]
    return "".join(delimiter.join(line) + "\n" for line in lines)


def json_lines(data: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in data)


def parquet(data: list[dict[str, Any]] | pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(data if isinstance(data, pa.Table) else pa.Table.from_pylist(data), buffer)
    return buffer.getvalue()


def zipped(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


ROWS = tiny.rows(30)
GOOD = csv_of(ROWS)
LONG = GOOD * 400  # more than one block of any compression
PLAIN: Files = {"data.csv": GOOD}


def labelled(*labels: Any) -> str:
    """JSON lines with these labels, in turn."""
    return json_lines([row | {"label": labels[i % len(labels)]} for i, row in enumerate(ROWS)])


def with_column(name: str, *values: str) -> str:
    return csv_of([row | {name: values[i % len(values)]} for i, row in enumerate(ROWS)])


NOT_UTF8 = pa.table(
    {
        "text": pa.Array.from_buffers(
            pa.string(),
            2,
            [
                None,
                pa.py_buffer(b"\0\0\0\0\4\0\0\0\10\0\0\0"),
                pa.py_buffer(b"good\xff\xfe\xfd\xfc"),
            ],
        ),
        "label": ["a", "b"],
    }
)

# By name: the files in the folder, and the parameters; {dir} is the folder, and the dataset is
# the first file unless it is given.
CASES: dict[str, tuple[Files, dict[str, Any]]] = {
    # Where the data is
    "no such file": (PLAIN, {"dataset": "{dir}/dota.csv"}),
    "no such folder": (PLAIN, {"dataset": "{dir}/no/data.csv"}),
    "a path below a file": (PLAIN, {"dataset": "{dir}/data.csv/data.csv"}),
    "an empty name": (PLAIN, {"dataset": ""}),
    "a name with a NUL": (PLAIN, {"dataset": "{dir}/data\0.csv"}),
    "the home of nobody": (PLAIN, {"dataset": "~no-such-user/data.csv"}),
    "a pattern that nothing matches": (PLAIN, {"dataset": "{dir}/*.tsv"}),
    "a folder without data": ({"notes.md": "# hello"}, {"dataset": "{dir}"}),
    "a folder of two formats": ({"a.csv": GOOD, "b.jsonl": "{}"}, {"dataset": "{dir}"}),
    "files with different columns": (
        {"a.csv": GOOD, "b.csv": "text,kind\ngood,a\n"},
        {"dataset": "{dir}"},
    ),
    "a spreadsheet": ({"data.xlsx": zipped({"sheet": ""})}, {}),
    "a file of no known kind": ({"data.docx": ""}, {}),
    "plain text": ({"data.txt": "good\nbad\n"}, {}),
    "a device that cannot be read": ({"data.csv": link("/proc/self/mem")}, {}),
    "a link to nowhere": ({"data.csv": link("gone.csv")}, {}),
    "a URI of a kind that is not read": (PLAIN, {"dataset": "ftp://me:secret@host/data.csv?k=v"}),
    "a URI that is none": (PLAIN, {"dataset": "http://[host/data.csv"}),
    "a URI without a path": (PLAIN, {"dataset": "file://"}),
    "a file URI of a file that is not there": (PLAIN, {"dataset": "file://{dir}/dota.csv"}),
    "a server that is not there": (PLAIN, {"dataset": "http://127.0.0.1:9/data.csv?key=secret"}),
    "a Hub URI while offline": (PLAIN, {"dataset": "hf://datasets/someone/nothing/data.csv"}),
    "a Hub id while offline": (PLAIN, {"dataset": "someone/nothing"}),
    "a test set that is not there": (PLAIN, {"test_dataset": "{dir}/test.csv"}),
    # What the file is
    "an empty file": ({"data.csv": ""}, {}),
    "only a header": ({"data.csv": "text,label\n"}, {}),
    "blank lines": ({"data.csv": "\n  \n\n"}, {}),
    "an empty JSON file": ({"data.json": ""}, {}),
    "an empty list": ({"data.json": "[]"}, {}),
    "JSON that ends too early": ({"data.json": '[{"text": "good", "label": '}, {}),
    "JSON of strings": ({"data.json": '["good", "bad"]'}, {}),
    "JSON without rows": ({"data.json": '{"name": "good"}'}, {}),
    "JSON with rows in several fields": (
        {"data.json": json.dumps({"first": ROWS, "second": ROWS})},
        {},
    ),
    "JSON lines with a bad line": ({"data.jsonl": json_lines(ROWS) + '{"text": \n'}, {}),
    "JSON lines of numbers": ({"data.jsonl": "1\n2\n"}, {}),
    "JSON lines of lists without names": ({"data.jsonl": '["good", "a"]\n' * 9}, {}),
    "half a character in JSON": ({"data.jsonl": '{"text": "\\ud800", "label": "a"}\n'}, {}),
    "Parquet that is none": ({"data.parquet": b"PAR1 and so on"}, {}),
    "Parquet that is cut": ({"data.parquet": parquet(ROWS)[:-20]}, {}),
    "Parquet without rows": ({"data.parquet": parquet(pa.table({"text": [], "label": []}))}, {}),
    "Parquet with text that is not UTF-8": ({"data.parquet": parquet(NOT_UTF8)}, {}),
    "Arrow that is none": ({"data.arrow": b"ARROW1 and so on"}, {}),
    "CSV that is gzip": ({"data.csv": gzip.compress(GOOD.encode(), mtime=0)}, {}),
    "gzip that is CSV": ({"data.csv.gz": GOOD}, {}),
    "gzip that is cut": ({"data.csv.gz": gzip.compress(LONG.encode())[:-20]}, {}),
    "bzip2 that is cut": ({"data.csv.bz2": bz2.compress(LONG.encode())[:-20]}, {}),
    "xz that is cut": ({"data.csv.xz": lzma.compress(LONG.encode())[:-20]}, {}),
    "Zstandard that is none": ({"data.csv.zst": GOOD}, {}),
    "a zip that is none": ({"data.zip": GOOD}, {}),
    "a zip of no data": ({"data.zip": zipped({"a.md": "# hello"})}, {}),
    # Encodings
    "Latin-1 as UTF-8": ({"data.csv": (GOOD + "café,returns\n").encode("latin-1")}, {}),
    "UTF-16 without a mark": ({"data.csv": GOOD.encode("utf-16-le")}, {}),
    "half a UTF-16 character": ({"data.csv": b"\xff\xfe" + GOOD.encode("utf-16-le") + b"a"}, {}),
    "a wrong encoding": ({"data.csv": GOOD + "é,returns\n"}, {"encoding": "ascii"}),
    "no such encoding": (PLAIN, {"encoding": "utf-9"}),
    "a NUL in the text": ({"data.csv": GOOD + "go\0od,returns\n"}, {}),
    # Quotes and delimiters
    "a row with too many cells": ({"data.csv": GOOD + "good,bad,returns\n"}, {}),
    "a row with too few cells": ({"data.csv": GOOD + "good\n"}, {}),
    "a quote that is not closed": (
        {"data.csv": GOOD + '"good, so ""good""",returns\n' * 3 + '"good,returns\n'},
        {},
    ),
    "a header whose quote is not closed": (
        {"data.csv": '"text,label\n' + "good,a\n" * 9},
        {"quoting": "minimal"},
    ),
    "a delimiter of two characters": (PLAIN, {"delimiter": "||"}),
    "a quote for a delimiter": (PLAIN, {"delimiter": '"'}),
    "another delimiter than the file's": (PLAIN, {"delimiter": "tab"}),
    "no such quoting": (PLAIN, {"quoting": "all"}),
    # Columns
    "no such text column": (PLAIN, {"text_column": "txt"}),
    "no such text pair column": (PLAIN, {"text_pair_column": "text2"}),
    "no such label column": (PLAIN, {"label_column": "lable"}),
    "one of several label columns that is not there": (
        {"data.csv": with_column("a", "0", "1")},
        {"label_column": "a,b"},
    ),
    "no such group column": (PLAIN, {"group_column": "user"}),
    "no such split column": (PLAIN, {"split_column": "split"}),
    "text and label in one column": (PLAIN, {"text_column": "label", "label_column": "label"}),
    "one label column twice": (PLAIN, {"label_column": "label,label"}),
    "a comma for label columns": (PLAIN, {"label_column": ","}),
    "two columns that may be the text": (
        {"data.csv": "title,body,label\n" + "good,bad,a\n" * 9},
        {},
    ),
    "no column that may be the label": ({"data.csv": "text,kind\n" + "good,a\n" * 9}, {}),
    "a test set without the text column": (
        {"data.csv": GOOD, "test.csv": "message,label\ngood,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
    ),
    "too few column names": (PLAIN, {"column_names": "text"}),
    "column names twice": (PLAIN, {"column_names": "text,text"}),
    "an empty column name": (PLAIN, {"column_names": "text,"}),
    "column names beside a header": (PLAIN, {"column_names": "text,label"}),
    "texts that are numbers": (
        {"data.jsonl": json_lines([{"text": 3, "label": "a"}, {"text": ["x"], "label": "b"}])},
        {},
    ),
    # Rows
    "an empty text": ({"data.csv": GOOD + " ,returns\n"}, {}),
    "a missing label": ({"data.csv": GOOD + "good,\n" + "good open,\n"}, {}),
    "a missing label among JSON lines": ({"data.jsonl": labelled("a", "b", None)}, {}),
    "no row that can be used": (
        {"data.csv": "text,label\n" + "good,\n" * 9},
        {"on_bad_row": "drop"},
    ),
    "a test set without a row that can be used": (
        {"data.csv": GOOD, "test.csv": "text,label\n,returns\n"},
        {"test_dataset": "{dir}/test.csv", "on_bad_row": "drop"},
    ),
    "every training row is in the test set": (
        {"data.csv": GOOD, "test.csv": GOOD},
        {"test_dataset": "{dir}/test.csv", "validation_fraction": 0.0, "drop_overlap": True},
    ),
    # Labels
    "one label": ({"data.csv": "text,label\n" + "good,a\n" * 20}, {}),
    "a label for every row": (
        {"data.csv": "text,label\n" + "".join(f"good {i},id{i}\n" for i in range(20))},
        {},
    ),
    "a test label that cannot be learned": (
        {"data.csv": GOOD, "test.csv": "text,label\ngood,refunds\nbad,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
    ),
    "objects for labels": ({"data.jsonl": labelled({"name": "a"}, {"name": "b"})}, {}),
    "a list of nothing for a label": ({"data.jsonl": labelled(["a", None], ["b"])}, {}),
    "fractions as classes": (
        {"data.jsonl": labelled(0.5, 1.5)},
        {"problem_type": "single_label_classification"},
    ),
    "lists as single labels": (
        {"data.jsonl": labelled(["a", "b"], ["b"])},
        {"problem_type": "single_label_classification"},
    ),
    "words for amounts": (PLAIN, {"problem_type": "regression"}),
    "an infinite amount": ({"data.jsonl": labelled(0.5, 1e999)}, {"problem_type": "regression"}),
    "an amount beyond float32": ({"data.jsonl": labelled(0.5, 1e300)}, {}),
    "an amount beyond float64": (
        {"data.jsonl": labelled(0.5, 10**400)},
        {"problem_type": "regression"},
    ),
    "the same amount in every row": ({"data.jsonl": labelled(0.5)}, {}),
    "a mark that is neither 0 nor 1": (
        {"data.csv": with_column("a", "0", "1", "2")},
        {"label_column": "a,label"},
    ),
    "several columns for an amount": (
        {"data.csv": with_column("a", "0", "1")},
        {"label_column": "a,label", "problem_type": "regression"},
    ),
    "label names for several columns": (
        {"data.csv": with_column("a", "0", "1"), "names.txt": "x\ny\n"},
        {"label_column": "a,label", "label_names": "{dir}/names.txt"},
    ),
    "label names for amounts": (
        {"data.csv": csv_of([row | {"label": i / 7} for i, row in enumerate(ROWS)]), "n.txt": "x"},
        {"problem_type": "regression", "label_names": "{dir}/n.txt"},
    ),
    "no such file of label names": (PLAIN, {"label_names": "{dir}/names.txt"}),
    "a folder of label names": (PLAIN, {"label_names": "{dir}"}),
    "an empty file of label names": (
        {"data.csv": GOOD, "n.txt": "\n"},
        {"label_names": "{dir}/n.txt"},
    ),
    "a label name twice": (
        {"data.csv": GOOD, "n.txt": "delivery\nreturns\ndelivery\n"},
        {"label_names": "{dir}/n.txt"},
    ),
    "label names that are no JSON": (
        {"data.csv": GOOD, "n.json": "delivery"},
        {"label_names": "{dir}/n.json"},
    ),
    "label names that are a number": (
        {"data.csv": GOOD, "n.json": "3"},
        {"label_names": "{dir}/n.json"},
    ),
    "label names that are an object": (
        {"data.csv": GOOD, "n.json": '{"0": "delivery"}'},
        {"label_names": "{dir}/n.json"},
    ),
    "label names that are lists": (
        {"data.csv": GOOD, "n.json": '[["delivery"], ["returns"]]'},
        {"label_names": "{dir}/n.json"},
    ),
    "label names without one that occurs": (
        {"data.csv": GOOD, "n.txt": "delivery\nreturn\n"},
        {"label_names": "{dir}/n.txt"},
    ),
    "a label id beyond the names": (
        {"data.jsonl": labelled(0, 1, 7), "n.txt": "a\nb\n"},
        {"label_names": "{dir}/n.txt"},
    ),
    "no such problem type": (PLAIN, {"problem_type": "multilabel"}),
    # Splits
    "no such training split": (
        {"train.csv": GOOD, "test.csv": GOOD},
        {"dataset": "{dir}", "train_split": "trian"},
    ),
    "no such test split": (
        {"train.csv": GOOD, "validation.csv": GOOD},
        {"dataset": "{dir}", "test_split": "holdout"},
    ),
    "a test split of a file without splits": (PLAIN, {"test_split": "holdout"}),
    "a training split of a file without splits": (PLAIN, {"train_split": "first"}),
    "a split that is not known": (
        {"data.csv": with_column("fold", "train", "1")},
        {"split_column": "fold"},
    ),
    "a row without a split": (
        {"data.csv": with_column("fold", "train", "test", "")},
        {"split_column": "fold"},
    ),
    "no row for training": ({"data.csv": with_column("fold", "test")}, {"split_column": "fold"}),
    "no row to test on": (
        {"data.csv": with_column("fold", "train", "dev")},
        {"split_column": "fold"},
    ),
    "a split column beside a test set": (
        {
            "data.csv": with_column("fold", "train", "test"),
            "test.csv": with_column("fold", "test"),
        },
        {"split_column": "fold", "test_dataset": "{dir}/test.csv"},
    ),
    "one group for all": (
        {"data.csv": with_column("user", "ann")},
        {"group_column": "user"},
    ),
    # Sizes
    "too few rows to split": ({"data.csv": "text,label\ngood,a\nbad,b\nshop,a\nopen,b\n"}, {}),
    "a fraction of one": (PLAIN, {"test_fraction": 1.0}),
    "a negative fraction": (PLAIN, {"validation_fraction": -0.1}),
    "a fraction that is no number": (PLAIN, {"test_fraction": float("nan")}),
    "fractions that leave nothing": (PLAIN, {"validation_fraction": 0.5, "test_fraction": 0.5}),
    "nothing to test on": (PLAIN, {"test_fraction": 0.0}),
    "no training samples": (PLAIN, {"max_train_samples": 0}),
    "fewer training samples than labels": (PLAIN, {"max_train_samples": 2}),
    "no tokens": (PLAIN, {"max_length": 0}),
    "too few tokens": (PLAIN, {"max_length": 3}),
    "more tokens than the model takes": (PLAIN, {"max_length": 41}),
    "a negative seed": (PLAIN, {"seed": -1}),
    "a seed that is too large": (PLAIN, {"seed": 2**32}),
    "no such treatment of bad rows": (PLAIN, {"on_bad_row": "skip"}),
    "no such task": (PLAIN, {"task": "translation"}),
    # The model
    "no such model": (PLAIN, {"model": "{dir}/model"}),
    "a folder that holds no model": (PLAIN, {"model": "{dir}"}),
    "the model of nobody's home": (PLAIN, {"model": "~no-such-user/model"}),
    "a Hub model while offline": (PLAIN, {"model": "someone/nothing"}),
}
