"""Wrong input, case by case: one message with a remedy, exit code 2, and nothing left behind."""

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
import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.columns import ColumnMapping
from kfp_finetune.components.load_data.readers.source import Batch, Source
from kfp_finetune.components.load_data.rows import read_rows
from kfp_finetune.components.tasks.values import LabelValues, Values
from tests import tiny
from tests.load_data.refused import Case, Refusal, check

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


A_DATASET = (
    "a file (.csv, .tsv, .jsonl, .ndjson, .json, .parquet, .arrow,"
    " .txt, .conll, .conllu, .iob, .iob2, .bio), a folder,"
    " a pattern, a URI, or the id of a dataset on the Hub"
)
A_FILE = (
    "a file ending in .csv, .tsv, .jsonl, .ndjson, .json, .parquet, .arrow,"
    " .txt, .conll, .conllu, .iob, .iob2, .bio,"
    " which may be compressed (.gz, .bz2, .xz, .zst, .zip)"
)


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

# By name: the files in the folder, the parameters, and the message; {dir} is the folder, and the
# dataset is the first file unless it is given.
CASES: dict[str, Case] = {
    # Where the data is
    "no such file": (
        PLAIN,
        {"dataset": "{dir}/dota.csv"},
        Refusal(
            found=("{dir}/dota.csv", "there"),
            where="dataset",
            expected=(".csv", ".tsv", ".jsonl"),
            remedy=("{dir}",),
        ),
    ),
    "no such folder": (
        PLAIN,
        {"dataset": "{dir}/no/data.csv"},
        Refusal(
            found=("{dir}/no/data.csv", "there"),
            where="dataset",
            expected=(".csv", ".tsv", ".jsonl"),
            remedy=("{dir}/no",),
        ),
    ),
    "a path below a file": (
        PLAIN,
        {"dataset": "{dir}/data.csv/data.csv"},
        Refusal(
            found=("{dir}/data.csv/data.csv", "there"),
            where="dataset",
            expected=(".csv", ".tsv", ".jsonl"),
            remedy=("{dir}/data.csv",),
        ),
    ),
    "an empty name": (
        PLAIN,
        {"dataset": ""},
        Refusal(
            found=("dataset", "empty"),
            where="dataset",
            expected=("URI",),
            remedy=("--dataset data.csv",),
        ),
    ),
    "a name with a NUL": (
        PLAIN,
        {"dataset": "{dir}/data\0.csv"},
        Refusal(
            found=("{dir}/data\x00.csv", "there"),
            where="dataset",
            expected=(".csv", ".tsv", ".jsonl"),
            remedy=("{dir}",),
        ),
    ),
    "the home of nobody": (
        PLAIN,
        {"dataset": "~no-such-user/data.csv"},
        Refusal(found=("user", "such"), where="dataset", expected=(".csv", ".tsv", ".jsonl")),
    ),
    "a pattern that nothing matches": (
        PLAIN,
        {"dataset": "{dir}/*.tsv"},
        Refusal(
            found=("matches", "file"), where="{dir}/*.tsv", expected=(".csv", ".tsv", ".jsonl")
        ),
    ),
    "a folder without data": (
        {"notes.md": "# hello"},
        {"dataset": "{dir}"},
        Refusal(found=("folder", "files"), where="{dir}", expected=(".csv", ".tsv", ".jsonl")),
    ),
    "a folder of two formats": (
        {"a.csv": GOOD, "b.jsonl": "{}"},
        {"dataset": "{dir}"},
        Refusal(
            found=(".csv", ".jsonl"),
            where="{dir}/b.jsonl",
            expected=(".csv", "{dir}"),
            remedy=("'*.csv'",),
        ),
    ),
    "files with different columns": (
        {"a.csv": GOOD, "b.csv": "text,kind\ngood,a\n"},
        {"dataset": "{dir}"},
        Refusal(
            found=("'text'", "'kind'"),
            where="{dir}/b.csv",
            expected=("{dir}/a.csv", "'text'", "'label'"),
        ),
    ),
    "a spreadsheet": (
        {"data.xlsx": zipped({"sheet": ""})},
        {},
        Refusal(
            found=("xlsx", "unsupported"),
            where="{dir}/data.xlsx",
            expected=(".csv", ".tsv", ".jsonl"),
            remedy=("CSV",),
        ),
    ),
    "a file of no known kind": (
        {"data.docx": ""},
        {},
        Refusal(
            found=("docx", "unsupported"),
            where="{dir}/data.docx",
            expected=(".csv", ".tsv", ".jsonl"),
        ),
    ),
    "plain text": (
        {"data.txt": "good\nbad\n"},
        {},
        Refusal(
            found=("plain", "labels"),
            where="{dir}/data.txt",
            expected=(".txt",),
            remedy=("--task token-classification", "train_text", "train_labels", ".csv", ".jsonl"),
        ),
    ),
    "a device that cannot be read": (
        {"data.csv": link("/proc/self/mem")},
        {},
        Refusal(found=("output", "nput"), where="{dir}/data.csv"),
    ),
    "a link to nowhere": (
        {"data.csv": link("gone.csv")},
        {},
        Refusal(found=("points", "exist"), where="{dir}/data.csv"),
    ),
    "a URI of a kind that is not read": (
        PLAIN,
        {"dataset": "ftp://me:secret@host/data.csv?k=v"},
        Refusal(found=("from", "files"), where="ftp://host/data.csv", expected=("3",)),
    ),
    "a URI that is none": (
        PLAIN,
        {"dataset": "http://[host/data.csv"},
        Refusal(found=("URI", "names"), where="http://[host/data.csv"),
    ),
    "a URI without a path": (
        PLAIN,
        {"dataset": "file://"},
        Refusal(found=("URI", "names"), where="file://"),
    ),
    "a file URI of a file that is not there": (
        PLAIN,
        {"dataset": "file://{dir}/dota.csv"},
        Refusal(
            found=("{dir}/dota.csv", "there"),
            where="dataset",
            expected=(".csv", ".tsv", ".jsonl"),
            remedy=("{dir}",),
        ),
    ),
    "a server that is not there": (
        PLAIN,
        {"dataset": "http://127.0.0.1:9/data.csv?key=secret"},
        Refusal(found=("127.0.0.1", "9"), where="http://127.0.0.1:9/data.csv"),
    ),
    "a Hub URI while offline": (
        PLAIN,
        {"dataset": "hf://datasets/someone/nothing/data.csv"},
        Refusal(
            found=("switched", "access"),
            where="hf://datasets/someone/nothing/data.csv",
            remedy=("HF_HUB_OFFLINE",),
        ),
    ),
    "a Hub id while offline": (
        PLAIN,
        {"dataset": "someone/nothing"},
        Refusal(
            found=("HF_HUB_OFFLINE", "downloaded"),
            where="someone/nothing",
            remedy=("HF_HUB_OFFLINE",),
        ),
    ),
    "a test set that is not there": (
        PLAIN,
        {"test_dataset": "{dir}/test.csv"},
        Refusal(
            found=("{dir}/test.csv", "there"),
            where="test_dataset",
            expected=(".csv", ".tsv", ".jsonl"),
            remedy=("{dir}",),
        ),
    ),
    # What the file is
    "an empty file": (
        {"data.csv": ""},
        {},
        Refusal(found=("rows", "file"), where="{dir}/data.csv"),
    ),
    "only a header": (
        {"data.csv": "text,label\n"},
        {},
        Refusal(found=("rows", "file"), where="{dir}/data.csv"),
    ),
    "blank lines": (
        {"data.csv": "\n  \n\n"},
        {},
        Refusal(found=("rows", "file"), where="{dir}/data.csv"),
    ),
    "an empty JSON file": (
        {"data.json": ""},
        {},
        Refusal(found=("rows", "file"), where="{dir}/data.json"),
    ),
    "an empty list": (
        {"data.json": "[]"},
        {},
        Refusal(found=("rows", "file"), where="{dir}/data.json"),
    ),
    "JSON that ends too early": (
        {"data.json": '[{"text": "good", "label": '},
        {},
        Refusal(
            found=("JSON", "xpecting"),
            where="{dir}/data.json, line 1, column 28",
            expected=('"text"', '"..."', '"label"'),
        ),
    ),
    "JSON of strings": (
        {"data.json": '["good", "bad"]'},
        {},
        Refusal(
            found=('"good"', "objects"),
            where="{dir}/data.json",
            expected=('"text"', '"..."', '"label"'),
        ),
    ),
    "JSON without rows": (
        {"data.json": '{"name": "good"}'},
        {},
        Refusal(found=("document", "object"), where="{dir}/data.json"),
    ),
    "JSON with rows in several fields": (
        {"data.json": json.dumps({"first": ROWS, "second": ROWS})},
        {},
        Refusal(
            found=("'train'", "field"), where="{dir}/data.json", remedy=("--train-split first",)
        ),
    ),
    "JSON lines with a bad line": (
        {"data.jsonl": json_lines(ROWS) + '{"text": \n'},
        {},
        Refusal(
            found=("31", "JSON"), where="{dir}/data.jsonl, line 31", remedy=("--on-bad-row drop",)
        ),
    ),
    "JSON lines of numbers": (
        {"data.jsonl": "1\n2\n"},
        {},
        Refusal(
            found=("object", "number"),
            where="{dir}/data.jsonl, line 1",
            expected=("JSON", '"text"', '"..."'),
            remedy=(".json", "JSON"),
        ),
    ),
    "JSON lines of lists without names": (
        {"data.jsonl": '["good", "a"]\n' * 9},
        {},
        Refusal(
            found=("2", '"good"', '"a"'),
            where="{dir}/data.jsonl",
            remedy=("--column-names text,label",),
        ),
    ),
    "half a character in JSON": (
        {"data.jsonl": '{"text": "\\ud800", "label": "a"}\n'},
        {},
        Refusal(
            found=("JSON", "surrogate"),
            where="{dir}/data.jsonl, line 1",
            expected=("JSON", '"text"', '"..."'),
            remedy=(".json", "JSON"),
        ),
    ),
    "Parquet that is none": (
        {"data.parquet": b"PAR1 and so on"},
        {},
        Refusal(found=("corrupted", "parquet"), where="{dir}/data.parquet"),
    ),
    "Parquet that is cut": (
        {"data.parquet": parquet(ROWS)[:-20]},
        {},
        Refusal(found=("corrupted", "parquet"), where="{dir}/data.parquet"),
    ),
    "Parquet without rows": (
        {"data.parquet": parquet(pa.table({"text": [], "label": []}))},
        {},
        Refusal(found=("rows", "file"), where="{dir}/data.parquet"),
    ),
    "Parquet with text that is not UTF-8": (
        {"data.parquet": parquet(NOT_UTF8)},
        {},
        Refusal(
            found=("1", "2", "UTF-8", "'text'"),
            where="{dir}/data.parquet",
            remedy=("--on-bad-row drop",),
        ),
    ),
    "Arrow that is none": (
        {"data.arrow": b"ARROW1 and so on"},
        {},
        Refusal(found=("16", "small"), where="{dir}/data.arrow"),
    ),
    "CSV that is gzip": (
        {"data.csv": gzip.compress(GOOD.encode(), mtime=0)},
        {},
        Refusal(found=("gzip", "data"), where="{dir}/data.csv", expected=(".csv",)),
    ),
    "gzip that is CSV": (
        {"data.csv.gz": GOOD},
        {},
        Refusal(found=("'te'", "gzipped"), where="{dir}/data.csv.gz", expected=(".gz",)),
    ),
    "gzip that is cut": (
        {"data.csv.gz": gzip.compress(LONG.encode())[:-20]},
        {},
        Refusal(found=("early", "ends"), where="{dir}/data.csv.gz", expected=(".gz",)),
    ),
    "bzip2 that is cut": (
        {"data.csv.bz2": bz2.compress(LONG.encode())[:-20]},
        {},
        Refusal(found=("early", "ends"), where="{dir}/data.csv.bz2", expected=(".bz2",)),
    ),
    "xz that is cut": (
        {"data.csv.xz": lzma.compress(LONG.encode())[:-20]},
        {},
        Refusal(found=("early", "ends"), where="{dir}/data.csv.xz", expected=(".xz",)),
    ),
    "Zstandard that is none": (
        {"data.csv.zst": GOOD},
        {},
        Refusal(
            found=("decompressor", "descriptor"), where="{dir}/data.csv.zst", expected=(".zst",)
        ),
    ),
    "a zip that is none": (
        {"data.zip": GOOD},
        {},
        Refusal(found=("archive", "read"), where="{dir}/data.zip", expected=(".zip",)),
    ),
    "a zip of no data": (
        {"data.zip": zipped({"a.md": "# hello"})},
        {},
        Refusal(
            found=("archive", "data"), where="{dir}/data.zip", expected=(".csv", ".tsv", ".jsonl")
        ),
    ),
    # Encodings
    "Latin-1 as UTF-8": (
        {"data.csv": (GOOD + "café,returns\n").encode("latin-1")},
        {},
        Refusal(
            found=("UTF-8", "0", "9"),
            where="{dir}/data.csv, byte 1,324, line 32",
            expected=("UTF-8",),
            remedy=("--encoding cp1252", "--encoding latin-1", "UTF-8"),
        ),
    ),
    "UTF-16 without a mark": (
        {"data.csv": GOOD.encode("utf-16-le")},
        {},
        Refusal(
            found=("NUL", "character"),
            where="{dir}/data.csv, byte 1, line 1",
            remedy=("--encoding utf-16-le", "UTF-16"),
        ),
    ),
    "half a UTF-16 character": (
        {"data.csv": b"\xff\xfe" + GOOD.encode("utf-16-le") + b"a"},
        {},
        Refusal(
            found=("UTF-16-LE", "0", "61"),
            where="{dir}/data.csv, byte 2,644, line 32",
            expected=("UTF-16-LE",),
            remedy=("--encoding utf-8", "UTF-8"),
        ),
    ),
    "a wrong encoding": (
        {"data.csv": GOOD + "é,returns\n"},
        {"encoding": "ascii"},
        Refusal(
            found=("ASCII", "0", "3", "128"),
            where="{dir}/data.csv, byte 1,321, line 32",
            expected=("ASCII",),
            remedy=("--encoding utf-8", "UTF-8"),
        ),
    ),
    "no such encoding": (
        PLAIN,
        {"encoding": "utf-9"},
        Refusal(
            found=("'utf-9'", "encoding"),
            where="encoding",
            expected=("16", "1252", "18030"),
            remedy=("--encoding cp1252",),
        ),
    ),
    "a NUL in the text": (
        {"data.csv": GOOD + "go\0od,returns\n"},
        {},
        Refusal(found=("NUL", "character"), where="{dir}/data.csv, byte 1,323, line 32"),
    ),
    # Quotes and delimiters
    "a row with too many cells": (
        {"data.csv": GOOD + "good,bad,returns\n"},
        {},
        Refusal(found=("31", "2"), where="{dir}/data.csv, line 32", remedy=("--on-bad-row drop",)),
    ),
    "a row with too few cells": (
        {"data.csv": GOOD + "good\n"},
        {},
        Refusal(found=("31", "2"), where="{dir}/data.csv, line 32", remedy=("--on-bad-row drop",)),
    ),
    "a quote that is not closed": (
        {"data.csv": GOOD + '"good, so ""good""",returns\n' * 3 + '"good,returns\n'},
        {},
        Refusal(
            found=("1", "34"),
            where="{dir}/data.csv, line 35",
            remedy=("--on-bad-row drop", "--quoting none"),
        ),
    ),
    "a header whose quote is not closed": (
        {"data.csv": '"text,label\n' + "good,a\n" * 9},
        {"quoting": "minimal"},
        Refusal(
            found=("header", "closed"),
            where="{dir}/data.csv, header",
            expected=('"say "', '"hi"'),
            remedy=("--quoting none",),
        ),
    ),
    "a delimiter of two characters": (
        PLAIN,
        {"delimiter": "||"},
        Refusal(found=("'||'", "delimiter"), where="delimiter", remedy=("--delimiter tab",)),
    ),
    "a quote for a delimiter": (
        PLAIN,
        {"delimiter": '"'},
        Refusal(found=("'\"'", "delimiter"), where="delimiter", remedy=("--delimiter tab",)),
    ),
    "another delimiter than the file's": (
        PLAIN,
        {"delimiter": "tab"},
        Refusal(
            found=("'text,label'", "'open late bad parcel early late open lat'"),
            where="{dir}/data.csv",
            remedy=("--delimiter",),
        ),
    ),
    "no such quoting": (
        PLAIN,
        {"quoting": "all"},
        Refusal(found=("'all'", "quoting"), where="quoting", remedy=("--quoting auto",)),
    ),
    # Columns
    "no such text column": (
        PLAIN,
        {"text_column": "txt"},
        Refusal(
            found=("'txt'", "there"),
            where="{dir}/data.csv (text_column)",
            expected=("'text'", "'label'"),
            remedy=("--text-column text",),
        ),
    ),
    "no such text pair column": (
        PLAIN,
        {"text_pair_column": "text2"},
        Refusal(
            found=("'text2'", "there"),
            where="{dir}/data.csv (text_pair_column)",
            expected=("'text'", "'label'"),
            remedy=("--text-pair-column text",),
        ),
    ),
    "no such label column": (
        PLAIN,
        {"label_column": "lable"},
        Refusal(
            found=("'lable'", "there"),
            where="{dir}/data.csv (label_column)",
            expected=("'text'", "'label'"),
            remedy=("--label-column label",),
        ),
    ),
    "one of several label columns that is not there": (
        {"data.csv": with_column("a", "0", "1")},
        {"label_column": "a,b"},
        Refusal(
            found=("'b'", "there"),
            where="{dir}/data.csv (label_column)",
            expected=("'text'", "'label'", "'a'"),
            remedy=("--label-column",),
        ),
    ),
    "no such group column": (
        PLAIN,
        {"group_column": "user"},
        Refusal(
            found=("'user'", "there"),
            where="{dir}/data.csv (group_column)",
            expected=("'text'", "'label'"),
            remedy=("--group-column",),
        ),
    ),
    "no such split column": (
        PLAIN,
        {"split_column": "split"},
        Refusal(
            found=("'split'", "there"),
            where="{dir}/data.csv (split_column)",
            expected=("'text'", "'label'"),
            remedy=("--split-column",),
        ),
    ),
    "text and label in one column": (
        PLAIN,
        {"text_column": "label", "label_column": "label"},
        Refusal(
            found=("'label'", "twice"),
            where="text_column, text_pair_column, label_column",
            remedy=("'text'", "'label'"),
        ),
    ),
    "one label column twice": (
        PLAIN,
        {"label_column": "label,label"},
        Refusal(
            found=("'label'", "twice"),
            where="text_column, text_pair_column, label_column",
            remedy=("'text'", "'label'"),
        ),
    ),
    "a comma for label columns": (
        PLAIN,
        {"label_column": ","},
        Refusal(
            found=("','", "there"),
            where="{dir}/data.csv (label_column)",
            expected=("'text'", "'label'"),
            remedy=("--label-column",),
        ),
    ),
    "two columns that may be the text": (
        {"data.csv": "title,body,label\n" + "good,bad,a\n" * 9},
        {},
        Refusal(
            found=("'title'", "'body'"),
            where="{dir}/data.csv",
            expected=("text_column", "'title'", "'good'"),
            remedy=("--text-column title",),
        ),
    ),
    "no column that may be the label": (
        {"data.csv": "text,kind\n" + "good,a\n" * 9},
        {},
        Refusal(
            found=("usual", "none"),
            where="{dir}/data.csv",
            expected=("label_column", "'text'", "'good'"),
            remedy=("--label-column kind",),
        ),
    ),
    "a test set without the text column": (
        {"data.csv": GOOD, "test.csv": "message,label\ngood,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
        Refusal(
            found=("'text'", "there"), where="{dir}/test.csv", expected=("'message'", "'label'")
        ),
    ),
    "too few column names": (
        PLAIN,
        {"column_names": "text"},
        Refusal(
            found=("column_names", "1", "2", "'text'", "'label'"),
            where="{dir}/data.csv",
            remedy=("--column-names column_1,column_2",),
        ),
    ),
    "column names twice": (
        PLAIN,
        {"column_names": "text,text"},
        Refusal(
            found=("column_names", "'text'"),
            where="column_names",
            remedy=("--column-names label,text",),
        ),
    ),
    "an empty column name": (
        PLAIN,
        {"column_names": "text,"},
        Refusal(
            found=("column_names", "empty"),
            where="column_names",
            remedy=("--column-names label,text",),
        ),
    ),
    "column names beside a header": (
        PLAIN,
        {"column_names": "text,label"},
        Refusal(
            found=("column_names", "already"),
            where="{dir}/data.csv",
            expected=("column_names",),
            remedy=("omit --column-names",),
        ),
    ),
    "texts that are numbers": (
        {"data.jsonl": json_lines([{"text": 3, "label": "a"}, {"text": ["x"], "label": "b"}])},
        {},
        Refusal(
            found=("1", "'text'", "2"), where="{dir}/data.jsonl", remedy=("--on-bad-row drop",)
        ),
    ),
    # Rows
    "an empty text": (
        {"data.csv": GOOD + " ,returns\n"},
        {},
        Refusal(found=("31", "'text'"), where="{dir}/data.csv", remedy=("--on-bad-row drop",)),
    ),
    "a missing label": (
        {"data.csv": GOOD + "good,\n" + "good open,\n"},
        {},
        Refusal(
            found=("31", "32", "'label'"), where="{dir}/data.csv", remedy=("--on-bad-row drop",)
        ),
    ),
    "a missing label among JSON lines": (
        {"data.jsonl": labelled("a", "b", None)},
        {},
        Refusal(
            found=("10", "3", "6", "9", "12", "15"),
            where="{dir}/data.jsonl",
            remedy=("--on-bad-row drop",),
        ),
    ),
    "no row that can be used": (
        {"data.csv": "text,label\n" + "good,\n" * 9},
        {"on_bad_row": "drop"},
        Refusal(found=("9", "1", "2", "3", "4", "5"), where="{dir}/data.csv"),
    ),
    "a test set without a row that can be used": (
        {"data.csv": GOOD, "test.csv": "text,label\n,returns\n"},
        {"test_dataset": "{dir}/test.csv", "on_bad_row": "drop"},
        Refusal(found=("1", "'text'"), where="{dir}/test.csv"),
    ),
    "every training row is in the test set": (
        {"data.csv": GOOD, "test.csv": GOOD},
        {"test_dataset": "{dir}/test.csv", "validation_fraction": 0.0, "drop_overlap": True},
        Refusal(
            found=("training", "every"), where="{dir}/test.csv", remedy=("omit --drop-overlap",)
        ),
    ),
    # Labels
    "one label": (
        {"data.csv": "text,label\n" + "good,a\n" * 20},
        {},
        Refusal(
            found=("'a'", "same"),
            where="{dir}/data.csv, column 'label'",
            remedy=("--label-column",),
        ),
    ),
    "a label for every row": (
        {"data.csv": "text,label\n" + "".join(f"good {i},id{i}\n" for i in range(20))},
        {},
        Refusal(
            found=("20", "different"),
            where="{dir}/data.csv, column 'label'",
            remedy=("--label-column",),
        ),
    ),
    "a test label that cannot be learned": (
        {"data.csv": GOOD, "test.csv": "text,label\ngood,refunds\nbad,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
        Refusal(found=("1", "'refunds'"), where="{dir}/test.csv (test), row 1"),
    ),
    "objects for labels": (
        {"data.jsonl": labelled({"name": "a"}, {"name": "b"})},
        {},
        Refusal(
            found=("'name'", "'a'"),
            where="column 'label', rows 1, 3, 5, 7, 9, ... of {dir}/data.jsonl",
            remedy=("--label-column",),
        ),
    ),
    "a list of nothing for a label": (
        {"data.jsonl": labelled(["a", None], ["b"])},
        {},
        Refusal(
            found=("null", "empty"),
            where="column 'label', rows 1, 3, 5, 7, 9, ... of {dir}/data.jsonl",
        ),
    ),
    "fractions as classes": (
        {"data.jsonl": labelled(0.5, 1.5)},
        {"problem_type": "single_label_classification"},
        Refusal(
            found=("0.5", "cannot"),
            where="column 'label', rows 1, 3, 5, 7, 9, ... of {dir}/data.jsonl",
            remedy=("--problem-type regression",),
        ),
    ),
    "lists as single labels": (
        {"data.jsonl": labelled(["a", "b"], ["b"])},
        {"problem_type": "single_label_classification"},
        Refusal(
            found=("'a'", "'b'"),
            where="column 'label', rows 1, 2, 3, 4, 5, ... of {dir}/data.jsonl",
            remedy=("--problem-type multi_label_classification",),
        ),
    ),
    "words for amounts": (
        PLAIN,
        {"problem_type": "regression"},
        Refusal(
            found=("'delivery'", "number"),
            where="column 'label', rows 1, 4, 7, 10, 13, ... of {dir}/data.csv",
            remedy=("--problem-type single_label_classification",),
        ),
    ),
    "an infinite amount": (
        {"data.jsonl": labelled(0.5, 1e999)},
        {"problem_type": "regression"},
        Refusal(
            found=("large", "predicted"),
            where="column 'label', rows 2, 4, 6, 8, 10, ... of {dir}/data.jsonl",
            expected=("3.4", "38", "32"),
        ),
    ),
    "an amount beyond float32": (
        {"data.jsonl": labelled(0.5, 1e300)},
        {},
        Refusal(
            found=("1", "300"),
            where="column 'label', rows 2, 4, 6, 8, 10, ... of {dir}/data.jsonl",
            expected=("3.4", "38", "32"),
        ),
    ),
    "an amount beyond float64": (
        {"data.jsonl": labelled(0.5, 10**400)},
        {"problem_type": "regression"},
        Refusal(
            found=("large", "predicted"),
            where="column 'label', rows 2, 4, 6, 8, 10, ... of {dir}/data.jsonl",
            expected=("3.4", "38", "32"),
        ),
    ),
    "the same amount in every row": (
        {"data.jsonl": labelled(0.5)},
        {},
        Refusal(
            found=("'0.5'", "same"),
            where="{dir}/data.jsonl, column 'label'",
            remedy=("--label-column",),
        ),
    ),
    "a mark that is neither 0 nor 1": (
        {"data.csv": with_column("a", "0", "1", "2")},
        {"label_column": "a,label"},
        Refusal(
            found=("'delivery'", "0", "1"),
            where="column 'label', rows 1, 4, 7, 10, 13, ... of {dir}/data.csv",
            expected=("0", "1"),
            remedy=("--label-column", "0", "1"),
        ),
    ),
    "several columns for an amount": (
        {"data.csv": with_column("a", "0", "1")},
        {"label_column": "a,label", "problem_type": "regression"},
        Refusal(
            found=("regression", "problem"),
            where="column 'a', 'label'",
            expected=("multi_label_classification",),
            remedy=("--label-column", "omit --problem-type"),
        ),
    ),
    "label names for several columns": (
        {"data.csv": with_column("a", "0", "1"), "names.txt": "x\ny\n"},
        {"label_column": "a,label", "label_names": "{dir}/names.txt"},
        Refusal(
            found=("given", "label columns"),
            where="column 'a', 'label'",
            remedy=("omit --label-names",),
        ),
    ),
    "label names for amounts": (
        {"data.csv": csv_of([row | {"label": i / 7} for i, row in enumerate(ROWS)]), "n.txt": "x"},
        {"problem_type": "regression", "label_names": "{dir}/n.txt"},
        Refusal(
            found=("numbers", "given"),
            where="label_names",
            remedy=("omit --label-names", "--problem-type single_label_classification"),
        ),
    ),
    "no such file of label names": (
        PLAIN,
        {"label_names": "{dir}/names.txt"},
        Refusal(
            found=("directory", "such"),
            where="{dir}/names.txt",
            expected=("UTF-8", ".json"),
            remedy=("--label-names",),
        ),
    ),
    "a folder of label names": (
        PLAIN,
        {"label_names": "{dir}"},
        Refusal(
            found=("directory", "read"),
            where="{dir}",
            expected=("UTF-8", ".json"),
            remedy=("--label-names",),
        ),
    ),
    "an empty file of label names": (
        {"data.csv": GOOD, "n.txt": "\n"},
        {"label_names": "{dir}/n.txt"},
        Refusal(found=("names", "label"), where="{dir}/n.txt", expected=("JSON",)),
    ),
    "a label name twice": (
        {"data.csv": GOOD, "n.txt": "delivery\nreturns\ndelivery\n"},
        {"label_names": "{dir}/n.txt"},
        Refusal(found=("'delivery'", "twice"), where="{dir}/n.txt", expected=("JSON",)),
    ),
    "label names that are no JSON": (
        {"data.csv": GOOD, "n.json": "delivery"},
        {"label_names": "{dir}/n.json"},
        Refusal(
            found=("1", "0"),
            where="{dir}/n.json",
            expected=("UTF-8", ".json"),
            remedy=("--label-names",),
        ),
    ),
    "label names that are a number": (
        {"data.csv": GOOD, "n.json": "3"},
        {"label_names": "{dir}/n.json"},
        Refusal(
            found=("list", "names"),
            where="{dir}/n.json",
            expected=("JSON", '"first"', '"second"'),
            remedy=(".txt",),
        ),
    ),
    "label names that are an object": (
        {"data.csv": GOOD, "n.json": '{"0": "delivery"}'},
        {"label_names": "{dir}/n.json"},
        Refusal(
            found=("list", "names"),
            where="{dir}/n.json",
            expected=("JSON", '"first"', '"second"'),
            remedy=(".txt",),
        ),
    ),
    "label names that are lists": (
        {"data.csv": GOOD, "n.json": '[["delivery"], ["returns"]]'},
        {"label_names": "{dir}/n.json"},
        Refusal(
            found=("list", "names"),
            where="{dir}/n.json",
            expected=("JSON", '"first"', '"second"'),
            remedy=(".txt",),
        ),
    ),
    "label names without one that occurs": (
        {"data.csv": GOOD, "n.txt": "delivery\nreturn\n"},
        {"label_names": "{dir}/n.txt"},
        Refusal(
            found=("2", "'payment'", "'returns'"),
            where="column 'label', rows 2, 3, 5, 6, 8, ... of {dir}/data.csv",
            expected=("'delivery'", "'return'"),
            remedy=("--label-names",),
        ),
    ),
    "a label id beyond the names": (
        {"data.jsonl": labelled(0, 1, 7), "n.txt": "a\nb\n"},
        {"label_names": "{dir}/n.txt"},
        Refusal(
            found=("7", "2"),
            where="column 'label', rows 3, 6, 9, 12, 15, ... of {dir}/data.jsonl",
            expected=("0", "1"),
            remedy=("--label-names",),
        ),
    ),
    "no such problem type": (
        PLAIN,
        {"problem_type": "multilabel"},
        Refusal(
            found=("problem_type", "'multilabel'"),
            where="problem_type",
            expected=("single_label_classification", "multi_label_classification"),
            remedy=("--problem-type auto",),
        ),
    ),
    # Splits
    "no such training split": (
        {"train.csv": GOOD, "test.csv": GOOD},
        {"dataset": "{dir}", "train_split": "trian"},
        Refusal(
            found=("'trian'", "split"), where="{dir} (train_split)", remedy=("--train-split train",)
        ),
    ),
    "no such test split": (
        {"train.csv": GOOD, "validation.csv": GOOD},
        {"dataset": "{dir}", "test_split": "holdout"},
        Refusal(
            found=("'holdout'", "split"),
            where="{dir} (test_split)",
            remedy=("--test-split validation",),
        ),
    ),
    "a test split of a file without splits": (
        PLAIN,
        {"test_split": "holdout"},
        Refusal(
            found=("'holdout'", "split"),
            where="{dir}/data.csv (test_split)",
            remedy=("omit --test-split",),
        ),
    ),
    "a training split of a file without splits": (
        PLAIN,
        {"train_split": "first"},
        Refusal(
            found=("'first'", "split"),
            where="{dir}/data.csv (train_split)",
            remedy=("omit --train-split",),
        ),
    ),
    "a split that is not known": (
        {"data.csv": with_column("fold", "train", "1")},
        {"split_column": "fold"},
        Refusal(
            found=("'1'", "15", "2", "4", "6", "8"),
            where="{dir}/data.csv, split column",
            remedy=("omit --split-column",),
        ),
    ),
    "a row without a split": (
        {"data.csv": with_column("fold", "train", "test", "")},
        {"split_column": "fold"},
        Refusal(
            found=("10", "3", "6", "9", "12", "15"),
            where="{dir}/data.csv, split column",
            remedy=("omit --split-column",),
        ),
    ),
    "no row for training": (
        {"data.csv": with_column("fold", "test")},
        {"split_column": "fold"},
        Refusal(
            found=("training",),
            where="{dir}/data.csv, split column",
            remedy=("omit --split-column",),
        ),
    ),
    "no row to test on": (
        {"data.csv": with_column("fold", "train", "dev")},
        {"split_column": "fold"},
        Refusal(
            found=("test split", "no rows"), where="{dir}/data.csv", remedy=("--test-dataset",)
        ),
    ),
    "a split column beside a test set": (
        {
            "data.csv": with_column("fold", "train", "test"),
            "test.csv": with_column("fold", "test"),
        },
        {"split_column": "fold", "test_dataset": "{dir}/test.csv"},
        Refusal(
            found=("15", "{dir}/test.csv", "2", "4", "6", "8"),
            where="{dir}/data.csv, split column",
            remedy=("--split-column",),
        ),
    ),
    "one group for all": (
        {"data.csv": with_column("user", "ann")},
        {"group_column": "user"},
        Refusal(
            found=("test split", "no rows"),
            where="{dir}/data.csv",
            remedy=("--test-dataset", "--test-fraction", "--group-column", "0"),
        ),
    ),
    # Sizes
    "too few rows to split": (
        {"data.csv": "text,label\ngood,a\nbad,b\nshop,a\nopen,b\n"},
        {},
        Refusal(
            found=("test split", "no rows"),
            where="{dir}/data.csv",
            remedy=("--test-dataset", "--test-fraction", "0"),
        ),
    ),
    "a fraction of one": (
        PLAIN,
        {"test_fraction": 1.0},
        Refusal(
            found=("test_fraction", "1"),
            where="test_fraction",
            expected=("0", "1"),
            remedy=("--test-fraction 0.1",),
        ),
    ),
    "a negative fraction": (
        PLAIN,
        {"validation_fraction": -0.1},
        Refusal(
            found=("validation_fraction", "0.1"),
            where="validation_fraction",
            expected=("0", "1"),
            remedy=("--validation-fraction 0.1",),
        ),
    ),
    "a fraction that is no number": (
        PLAIN,
        {"test_fraction": float("nan")},
        Refusal(
            found=("test_fraction",),
            where="test_fraction",
            expected=("0", "1"),
            remedy=("--test-fraction 0.1",),
        ),
    ),
    "fractions that leave nothing": (
        PLAIN,
        {"validation_fraction": 0.5, "test_fraction": 0.5},
        Refusal(found=("100", "would"), where="validation_fraction, test_fraction"),
    ),
    "nothing to test on": (
        PLAIN,
        {"test_fraction": 0.0},
        Refusal(
            found=("test split", "no rows"),
            where="{dir}/data.csv",
            remedy=("--test-dataset", "--test-fraction", "0"),
        ),
    ),
    "no training samples": (
        PLAIN,
        {"max_train_samples": 0},
        Refusal(
            found=("max_train_samples", "0"),
            where="max_train_samples",
            expected=("1",),
            remedy=("--max-train-samples 128",),
        ),
    ),
    "fewer training samples than labels": (
        PLAIN,
        {"max_train_samples": 2},
        Refusal(
            found=("max_train_samples", "2", "3"),
            where="max_train_samples",
            remedy=("--max-train-samples 12",),
        ),
    ),
    "no tokens": (
        PLAIN,
        {"max_length": 0},
        Refusal(
            found=("max_length", "0"),
            where="max_length",
            expected=("1",),
            remedy=("--max-length 128",),
        ),
    ),
    "too few tokens": (
        PLAIN,
        {"max_length": 3},
        Refusal(
            found=("max_length", "3"),
            where="max_length",
            expected=("40",),
            remedy=("--max-length 40",),
        ),
    ),
    "more tokens than the model takes": (
        PLAIN,
        {"max_length": 41},
        Refusal(
            found=("max_length", "41"),
            where="max_length",
            expected=("40",),
            remedy=("--max-length 40",),
        ),
    ),
    "a negative seed": (
        PLAIN,
        {"seed": -1},
        Refusal(
            found=("1", "seed"), where="seed", expected=("0", "4294967295"), remedy=("--seed 42",)
        ),
    ),
    "a seed that is too large": (
        PLAIN,
        {"seed": 2**32},
        Refusal(
            found=("4294967296", "seed"),
            where="seed",
            expected=("0", "4294967295"),
            remedy=("--seed 42",),
        ),
    ),
    "no such treatment of bad rows": (
        PLAIN,
        {"on_bad_row": "skip"},
        Refusal(found=("on_bad_row", "'skip'"), where="on_bad_row", remedy=("--on-bad-row drop",)),
    ),
    "no such task": (
        PLAIN,
        {"task": "translation"},
        Refusal(
            found=("'translation'", "task"), where="task", remedy=("--task text-classification",)
        ),
    ),
    # The model
    "no such model": (
        PLAIN,
        {"model": "{dir}/model"},
        Refusal(found=("folder", "such"), where="model: {dir}/model", remedy=("{here}",)),
    ),
    "a folder that holds no model": (
        PLAIN,
        {"model": "{dir}"},
        Refusal(found=("config", "json"), where="{dir}"),
    ),
    "the model of nobody's home": (
        PLAIN,
        {"model": "~no-such-user/model"},
        Refusal(found=("folder", "such"), where="model: ~no-such-user/model", remedy=("{here}",)),
    ),
    "a Hub model while offline": (
        PLAIN,
        {"model": "someone/nothing"},
        Refusal(
            found=("HF_HUB_OFFLINE", "downloaded"),
            where="model: someone/nothing",
            remedy=("HF_HUB_OFFLINE", "`hf download someone/nothing`"),
        ),
    ),
}


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_reported_once_and_leaves_nothing(
    case: str, tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check(CASES[case], tiny_model, tmp_path, capfd)


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
    assert caught.value.found == "label 5 is not one of the 2 labels that the data declares"
    assert caught.value.where == "data.arrow, column 'label', row 4"
