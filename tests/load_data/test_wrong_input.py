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
from tests.load_data.refused import check

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

# By name: the files in the folder, and the parameters; {dir} is the folder, and the dataset is
# the first file unless it is given. Then what is found, where, what was expected and the remedy.
CASES: dict[str, tuple[Files, dict[str, Any], tuple[str, str, str, str]]] = {
    # Where the data is
    "no such file": (
        PLAIN,
        {"dataset": "{dir}/dota.csv"},
        (
            "there is no file {dir}/dota.csv",
            "dataset",
            A_DATASET,
            "check the path; in {dir} there is data.csv",
        ),
    ),
    "no such folder": (
        PLAIN,
        {"dataset": "{dir}/no/data.csv"},
        (
            "there is no file {dir}/no/data.csv",
            "dataset",
            A_DATASET,
            "check the path: {dir}/no is not there",
        ),
    ),
    "a path below a file": (
        PLAIN,
        {"dataset": "{dir}/data.csv/data.csv"},
        (
            "there is no file {dir}/data.csv/data.csv",
            "dataset",
            A_DATASET,
            "check the path: {dir}/data.csv is not there; in {dir} there is data.csv",
        ),
    ),
    "an empty name": (
        PLAIN,
        {"dataset": ""},
        (
            "dataset is empty",
            "dataset",
            "a file, a folder, a pattern, a URI, or the id of a dataset on the Hub",
            "--dataset data.csv",
        ),
    ),
    "a name with a NUL": (
        PLAIN,
        {"dataset": "{dir}/data\0.csv"},
        (
            "there is no file {dir}/data\0.csv",
            "dataset",
            A_DATASET,
            "check the path; in {dir} there is data.csv",
        ),
    ),
    "the home of nobody": (
        PLAIN,
        {"dataset": "~no-such-user/data.csv"},
        (
            "there is no file ~no-such-user/data.csv",
            "dataset",
            A_DATASET,
            "check the path: ~no-such-user is not there",
        ),
    ),
    "a pattern that nothing matches": (
        PLAIN,
        {"dataset": "{dir}/*.tsv"},
        (
            "no file matches",
            "{dir}/*.tsv",
            (
                "a pattern of files ending in .csv, .tsv, .jsonl, .ndjson, .json, .parquet,"
                " .arrow, .txt, .conll, .conllu, .iob, .iob2, .bio"
            ),
            "check the pattern and the folder",
        ),
    ),
    "a folder without data": (
        {"notes.md": "# hello"},
        {"dataset": "{dir}"},
        (
            "the folder holds no data files",
            "{dir}",
            (
                "files ending in .csv, .tsv, .jsonl, .ndjson, .json, .parquet, .arrow,"
                " .txt, .conll, .conllu, .iob, .iob2, .bio,"
                " which may be compressed"
            ),
            "check the path",
        ),
    ),
    "a folder of two formats": (
        {"a.csv": GOOD, "b.jsonl": "{}"},
        {"dataset": "{dir}"},
        (
            "the files are of several formats: .csv, .jsonl",
            "{dir}/b.jsonl",
            "only .csv files, as the others in {dir}",
            "name the files by a pattern, e.g. '*.csv', or one of them",
        ),
    ),
    "files with different columns": (
        {"a.csv": GOOD, "b.csv": "text,kind\ngood,a\n"},
        {"dataset": "{dir}"},
        (
            "the columns are 'text', 'kind'",
            "{dir}/b.csv",
            "those of {dir}/a.csv: 'text', 'label'",
            "give the file the same columns, or leave it out",
        ),
    ),
    "a spreadsheet": (
        {"data.xlsx": zipped({"sheet": ""})},
        {},
        (
            "data.xlsx is of a kind that is not read",
            "{dir}/data.xlsx",
            A_FILE,
            "save the sheet as CSV",
        ),
    ),
    "a file of no known kind": (
        {"data.docx": ""},
        {},
        (
            "data.docx is of a kind that is not read",
            "{dir}/data.docx",
            A_FILE,
            "convert it, or rename it to what it is",
        ),
    ),
    "plain text": (
        {"data.txt": "good\nbad\n"},
        {},
        (
            "plain text has no labels",
            "{dir}/data.txt",
            "a folder with a sub-folder of .txt files per label, or a .txt file per label",
            "arrange it so, or put the labels into a file beside the texts, line by line"
            " (train_text.txt, train_labels.txt), or give them as .csv or .jsonl; of words with"
            " tags, one a line: --task token-classification",
        ),
    ),
    "a device that cannot be read": (
        {"data.csv": link("/proc/self/mem")},
        {},
        (
            "the file cannot be read: Input/output error",
            "{dir}/data.csv",
            "a file that can be read from its beginning to its end",
            "check the file and the disk, or copy it elsewhere",
        ),
    ),
    "a link to nowhere": (
        {"data.csv": link("gone.csv")},
        {},
        (
            "the link points to gone.csv, which is not there",
            "{dir}/data.csv",
            "a link to a file or folder",
            "mend the link",
        ),
    ),
    "a URI of a kind that is not read": (
        PLAIN,
        {"dataset": "ftp://me:secret@host/data.csv?k=v"},
        (
            "there is no reading from ftp://",
            "ftp://host/data.csv",
            "one of https://, http://, s3://, gs://, hf://, file://",
            "download it, and name the file",
        ),
    ),
    "a URI that is none": (
        PLAIN,
        {"dataset": "http://[host/data.csv"},
        (
            "the URI names no file",
            "http://[host/data.csv",
            "a place and a path, e.g. https://host/data.csv or file:///data/data.csv",
            "check the address",
        ),
    ),
    "a URI without a path": (
        PLAIN,
        {"dataset": "file://"},
        (
            "the URI names no file",
            "file://",
            "a place and a path, e.g. https://host/data.csv or file:///data/data.csv",
            "check the address",
        ),
    ),
    "a file URI of a file that is not there": (
        PLAIN,
        {"dataset": "file://{dir}/dota.csv"},
        (
            "there is no file {dir}/dota.csv",
            "dataset",
            A_DATASET,
            "check the path; in {dir} there is data.csv",
        ),
    ),
    "a server that is not there": (
        PLAIN,
        {"dataset": "http://127.0.0.1:9/data.csv?key=secret"},
        (
            "127.0.0.1:9 cannot be reached (ClientConnectorError)",
            "http://127.0.0.1:9/data.csv",
            "data that this machine can download",
            "check the address and the network",
        ),
    ),
    "a Hub URI while offline": (
        PLAIN,
        {"dataset": "hf://datasets/someone/nothing/data.csv"},
        (
            "the Hub is switched off",
            "hf://datasets/someone/nothing/data.csv",
            "data that this machine can download",
            "unset HF_HUB_OFFLINE",
        ),
    ),
    "a Hub id while offline": (
        PLAIN,
        {"dataset": "someone/nothing"},
        (
            ("the dataset cannot be downloaded: the Hub is switched off by HF_HUB_OFFLINE"),
            "someone/nothing",
            "a file or folder on this disk, or a dataset on the Hub that this machine can reach",
            "unset HF_HUB_OFFLINE; or download it elsewhere, and name the files",
        ),
    ),
    "a test set that is not there": (
        PLAIN,
        {"test_dataset": "{dir}/test.csv"},
        (
            "there is no file {dir}/test.csv",
            "test_dataset",
            A_DATASET,
            "check the path; in {dir} there is data.csv",
        ),
    ),
    # What the file is
    "an empty file": (
        {"data.csv": ""},
        {},
        (
            "the file has no rows",
            "{dir}/data.csv",
            "a header and at least one row",
            "check that this is the right file",
        ),
    ),
    "only a header": (
        {"data.csv": "text,label\n"},
        {},
        (
            "the file has no rows",
            "{dir}/data.csv",
            "a header and at least one row",
            "check that this is the right file",
        ),
    ),
    "blank lines": (
        {"data.csv": "\n  \n\n"},
        {},
        (
            "the file has no rows",
            "{dir}/data.csv",
            "a header and at least one row",
            "check that this is the right file",
        ),
    ),
    "an empty JSON file": (
        {"data.json": ""},
        {},
        (
            "the file has no rows",
            "{dir}/data.json",
            "rows",
            "check that this is the right file",
        ),
    ),
    "an empty list": (
        {"data.json": "[]"},
        {},
        (
            "the file has no rows",
            "{dir}/data.json",
            "rows",
            "check that this is the right file",
        ),
    ),
    "JSON that ends too early": (
        {"data.json": '[{"text": "good", "label": '},
        {},
        (
            "not valid JSON: Expecting value",
            "{dir}/data.json, line 1, column 28",
            'a list of objects, e.g. [{"text": "...", "label": "..."}]',
            "mend the file",
        ),
    ),
    "JSON of strings": (
        {"data.json": '["good", "bad"]'},
        {},
        (
            'the rows are not objects: the first is a string, "good"',
            "{dir}/data.json",
            'a list of objects, e.g. [{"text": "...", "label": "..."}]',
            "check that this is the right file",
        ),
    ),
    "JSON without rows": (
        {"data.json": '{"name": "good"}'},
        {},
        (
            "the document is an object and holds no list of rows",
            "{dir}/data.json",
            "a list of objects, columns of the same length, or fields that hold such",
            "check that this is the right file",
        ),
    ),
    "JSON with rows in several fields": (
        {"data.json": json.dumps({"first": ROWS, "second": ROWS})},
        {},
        (
            "there is no field 'train'",
            "{dir}/data.json",
            "one of the fields that hold rows: first, second",
            "--train-split first",
        ),
    ),
    "JSON lines with a bad line": (
        {"data.jsonl": json_lines(ROWS) + '{"text": \n'},
        {},
        (
            "1 row (31) with not valid JSON: Expecting value",
            "{dir}/data.jsonl, line 31",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    "JSON lines of numbers": (
        {"data.jsonl": "1\n2\n"},
        {},
        (
            "a number, not an object",
            "{dir}/data.jsonl, line 1",
            'one JSON object a line, e.g. {"text": "...", "label": "..."}',
            "mend the line, or name the file .json if it is one JSON document",
        ),
    ),
    "JSON lines of lists without names": (
        {"data.jsonl": '["good", "a"]\n' * 9},
        {},
        (
            'the rows are lists of 2, and there are no names: ["good", "a"]',
            "{dir}/data.jsonl",
            "a name for every cell",
            "--column-names text,label",
        ),
    ),
    "half a character in JSON": (
        {"data.jsonl": '{"text": "\\ud800", "label": "a"}\n'},
        {},
        (
            "not valid JSON: half of a surrogate pair, which is no character",
            "{dir}/data.jsonl, line 1",
            'one JSON object a line, e.g. {"text": "...", "label": "..."}',
            "mend the line, or name the file .json if it is one JSON document",
        ),
    ),
    "Parquet that is none": (
        {"data.parquet": b"PAR1 and so on"},
        {},
        (
            (
                "not valid Parquet: Parquet magic bytes not found in footer. Either the file is"
                " corrupted or this is not a parquet file."
            ),
            "{dir}/data.parquet",
            "a whole Parquet file",
            "check that the file is what its suffix says; copy or download it again",
        ),
    ),
    "Parquet that is cut": (
        {"data.parquet": parquet(ROWS)[:-20]},
        {},
        (
            (
                "not valid Parquet: Parquet magic bytes not found in footer. Either the file is"
                " corrupted or this is not a parquet file."
            ),
            "{dir}/data.parquet",
            "a whole Parquet file",
            "check that the file is what its suffix says; copy or download it again",
        ),
    ),
    "Parquet without rows": (
        {"data.parquet": parquet(pa.table({"text": [], "label": []}))},
        {},
        (
            "the file has no rows",
            "{dir}/data.parquet",
            "rows",
            "check that this is the right file",
        ),
    ),
    "Parquet with text that is not UTF-8": (
        {"data.parquet": parquet(NOT_UTF8)},
        {},
        (
            "1 row (2) with text that is not UTF-8 in column 'text'",
            "{dir}/data.parquet",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    "Arrow that is none": (
        {"data.arrow": b"ARROW1 and so on"},
        {},
        (
            "not valid Arrow: File is too small: 16",
            "{dir}/data.arrow",
            "a whole Arrow file",
            "check that the file is what its suffix says; copy or download it again",
        ),
    ),
    "CSV that is gzip": (
        {"data.csv": gzip.compress(GOOD.encode(), mtime=0)},
        {},
        (
            "the file is gzip data, not text",
            "{dir}/data.csv",
            "what the suffix .csv says",
            "rename it to data.csv.gz",
        ),
    ),
    "gzip that is CSV": (
        {"data.csv.gz": GOOD},
        {},
        (
            "the compressed file cannot be read: Not a gzipped file (b'te')",
            "{dir}/data.csv.gz",
            "a whole .gz file",
            "copy or download it again",
        ),
    ),
    "gzip that is cut": (
        {"data.csv.gz": gzip.compress(LONG.encode())[:-20]},
        {},
        (
            "the compressed file cannot be read: it ends too early",
            "{dir}/data.csv.gz",
            "a whole .gz file",
            "copy or download it again",
        ),
    ),
    "bzip2 that is cut": (
        {"data.csv.bz2": bz2.compress(LONG.encode())[:-20]},
        {},
        (
            "the compressed file cannot be read: it ends too early",
            "{dir}/data.csv.bz2",
            "a whole .bz2 file",
            "copy or download it again",
        ),
    ),
    "xz that is cut": (
        {"data.csv.xz": lzma.compress(LONG.encode())[:-20]},
        {},
        (
            "the compressed file cannot be read: it ends too early",
            "{dir}/data.csv.xz",
            "a whole .xz file",
            "copy or download it again",
        ),
    ),
    "Zstandard that is none": (
        {"data.csv.zst": GOOD},
        {},
        (
            (
                "the compressed file cannot be read: zstd decompressor error: Unknown frame"
                " descriptor"
            ),
            "{dir}/data.csv.zst",
            "a whole .zst file",
            "copy or download it again",
        ),
    ),
    "a zip that is none": (
        {"data.zip": GOOD},
        {},
        (
            "the archive cannot be read: File is not a zip file",
            "{dir}/data.zip",
            "a whole .zip file",
            "copy or download it again",
        ),
    ),
    "a zip of no data": (
        {"data.zip": zipped({"a.md": "# hello"})},
        {},
        (
            "the archive holds no data file: a.md",
            "{dir}/data.zip",
            "a file ending in .csv, .tsv, .jsonl, .ndjson, .json, .parquet, .arrow,"
            " .txt, .conll, .conllu, .iob, .iob2, .bio",
            "check that this is the right archive",
        ),
    ),
    # Encodings
    "Latin-1 as UTF-8": (
        {"data.csv": (GOOD + "café,returns\n").encode("latin-1")},
        {},
        (
            "not UTF-8: byte 0xe9, invalid continuation byte",
            "{dir}/data.csv, byte 1,324, line 32",
            "text encoded as UTF-8",
            (
                "name the file's encoding, e.g. --encoding cp1252 or --encoding latin-1, or"
                " convert it to UTF-8"
            ),
        ),
    ),
    "UTF-16 without a mark": (
        {"data.csv": GOOD.encode("utf-16-le")},
        {},
        (
            "a NUL character, which no text has",
            "{dir}/data.csv, byte 1, line 1",
            "a text file",
            "it looks like UTF-16 without a byte order mark: --encoding utf-16-le",
        ),
    ),
    "half a UTF-16 character": (
        {"data.csv": b"\xff\xfe" + GOOD.encode("utf-16-le") + b"a"},
        {},
        (
            "not UTF-16-LE: byte 0x61, truncated data",
            "{dir}/data.csv, byte 2,644, line 32",
            "text encoded as UTF-16-LE",
            (
                "check that the file is whole, or name the file's encoding, e.g. --encoding"
                " utf-8, or convert it to UTF-8"
            ),
        ),
    ),
    "a wrong encoding": (
        {"data.csv": GOOD + "é,returns\n"},
        {"encoding": "ascii"},
        (
            "not ASCII: byte 0xc3, ordinal not in range(128)",
            "{dir}/data.csv, byte 1,321, line 32",
            "text encoded as ASCII",
            "name the file's encoding, e.g. --encoding utf-8, or convert it to UTF-8",
        ),
    ),
    "no such encoding": (
        PLAIN,
        {"encoding": "utf-9"},
        (
            "there is no encoding 'utf-9'",
            "encoding",
            "one of Python's names: utf-8, utf-16, cp1252, latin-1, gb18030 ...",
            "--encoding cp1252",
        ),
    ),
    "a NUL in the text": (
        {"data.csv": GOOD + "go\0od,returns\n"},
        {},
        (
            "a NUL character, which no text has",
            "{dir}/data.csv, byte 1,323, line 32",
            "a text file",
            "check that the file is whole and of the kind its suffix says",
        ),
    ),
    # Quotes and delimiters
    "a row with too many cells": (
        {"data.csv": GOOD + "good,bad,returns\n"},
        {},
        (
            "1 row (31) with 3 cells for 2 columns",
            "{dir}/data.csv, line 32",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    "a row with too few cells": (
        {"data.csv": GOOD + "good\n"},
        {},
        (
            "1 row (31) with 1 cell for 2 columns",
            "{dir}/data.csv, line 32",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    "a quote that is not closed": (
        {"data.csv": GOOD + '"good, so ""good""",returns\n' * 3 + '"good,returns\n'},
        {},
        (
            "1 row (34) with a quote that is not closed",
            "{dir}/data.csv, line 35",
            "a text and a label in every row",
            (
                "mend the rows, or --on-bad-row drop to leave them out, or --quoting none if"
                " quotes are plain characters"
            ),
        ),
    ),
    "a header whose quote is not closed": (
        {"data.csv": '"text,label\n' + "good,a\n" * 9},
        {"quoting": "minimal"},
        (
            "the header has a quote that is not closed where its cell ends",
            "{dir}/data.csv, header",
            'quotes closed, and doubled inside quoted cells: "say ""hi"""',
            "mend the header, or --quoting none",
        ),
    ),
    "a delimiter of two characters": (
        PLAIN,
        {"delimiter": "||"},
        (
            "delimiter is '||'",
            "delimiter",
            "one character, or one of tab, \\t, comma, semicolon, pipe, space",
            "--delimiter tab",
        ),
    ),
    "a quote for a delimiter": (
        PLAIN,
        {"delimiter": '"'},
        (
            "delimiter is '\"'",
            "delimiter",
            "one character, or one of tab, \\t, comma, semicolon, pipe, space",
            "--delimiter tab",
        ),
    ),
    "another delimiter than the file's": (
        PLAIN,
        {"delimiter": "tab"},
        (
            (
                "there is only one column: 'text,label' (e.g. 'open late bad parcel early late"
                " open lat')"
            ),
            "{dir}/data.csv",
            "a column for the text and one for the label",
            "check --delimiter, and that this is the right file",
        ),
    ),
    "no such quoting": (
        PLAIN,
        {"quoting": "all"},
        (
            "quoting is 'all'",
            "quoting",
            "auto, minimal or none",
            "--quoting auto",
        ),
    ),
    # Columns
    "no such text column": (
        PLAIN,
        {"text_column": "txt"},
        (
            "there is no column 'txt'",
            "{dir}/data.csv (text_column)",
            "one of 'text', 'label'",
            "--text-column text",
        ),
    ),
    "no such text pair column": (
        PLAIN,
        {"text_pair_column": "text2"},
        (
            "there is no column 'text2'",
            "{dir}/data.csv (text_pair_column)",
            "one of 'text', 'label'",
            "--text-pair-column text",
        ),
    ),
    "no such label column": (
        PLAIN,
        {"label_column": "lable"},
        (
            "there is no column 'lable'",
            "{dir}/data.csv (label_column)",
            "one of 'text', 'label'",
            "--label-column label",
        ),
    ),
    "one of several label columns that is not there": (
        {"data.csv": with_column("a", "0", "1")},
        {"label_column": "a,b"},
        (
            "there is no column 'b'",
            "{dir}/data.csv (label_column)",
            "one of 'text', 'label', 'a'",
            "name one of these with --label-column",
        ),
    ),
    "no such group column": (
        PLAIN,
        {"group_column": "user"},
        (
            "there is no column 'user'",
            "{dir}/data.csv (group_column)",
            "one of 'text', 'label'",
            "name one of these with --group-column, or leave it out",
        ),
    ),
    "no such split column": (
        PLAIN,
        {"split_column": "split"},
        (
            "there is no column 'split'",
            "{dir}/data.csv (split_column)",
            "one of 'text', 'label'",
            "name one of these with --split-column, or leave it out",
        ),
    ),
    "text and label in one column": (
        PLAIN,
        {"text_column": "label", "label_column": "label"},
        (
            "column 'label' is named twice",
            "text_column, text_pair_column, label_column",
            "a different column for each",
            "name different ones of 'text', 'label'",
        ),
    ),
    "one label column twice": (
        PLAIN,
        {"label_column": "label,label"},
        (
            "column 'label' is named twice",
            "text_column, text_pair_column, label_column",
            "a different column for each",
            "name different ones of 'text', 'label'",
        ),
    ),
    "a comma for label columns": (
        PLAIN,
        {"label_column": ","},
        (
            "there is no column ','",
            "{dir}/data.csv (label_column)",
            "one of 'text', 'label'",
            "name one of these with --label-column",
        ),
    ),
    "two columns that may be the text": (
        {"data.csv": "title,body,label\n" + "good,bad,a\n" * 9},
        {},
        (
            "it is not clear which column is the text: 'title', 'body'",
            "{dir}/data.csv",
            (
                "text_column to name one of 'title' (e.g. 'good'), 'body' (e.g. 'bad'), 'label'"
                " (e.g. 'a')"
            ),
            "--text-column title",
        ),
    ),
    "no column that may be the label": (
        {"data.csv": "text,kind\n" + "good,a\n" * 9},
        {},
        (
            "it is not clear which column is the label: none has a usual name",
            "{dir}/data.csv",
            "label_column to name one of 'text' (e.g. 'good'), 'kind' (e.g. 'a')",
            "--label-column kind",
        ),
    ),
    "a test set without the text column": (
        {"data.csv": GOOD, "test.csv": "message,label\ngood,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
        (
            "there is no column 'text'",
            "{dir}/test.csv",
            "the columns of the training data; it has 'message', 'label'",
            "rename the column",
        ),
    ),
    "too few column names": (
        PLAIN,
        {"column_names": "text"},
        (
            "column_names has 1 name, and the first row 2 cells: 'text', 'label'",
            "{dir}/data.csv",
            "a name for every cell",
            "--column-names column_1,column_2",
        ),
    ),
    "column names twice": (
        PLAIN,
        {"column_names": "text,text"},
        (
            "column_names repeats 'text'",
            "column_names",
            "a name of its own for every column, in the file's order",
            "--column-names label,text",
        ),
    ),
    "an empty column name": (
        PLAIN,
        {"column_names": "text,"},
        (
            "a name in column_names is empty",
            "column_names",
            "a name of its own for every column, in the file's order",
            "--column-names label,text",
        ),
    ),
    "column names beside a header": (
        PLAIN,
        {"column_names": "text,label"},
        (
            "the first row holds the columns' names, as column_names does",
            "{dir}/data.csv",
            "column_names only for a file that does not name its columns",
            "omit --column-names",
        ),
    ),
    "texts that are numbers": (
        {"data.jsonl": json_lines([{"text": 3, "label": "a"}, {"text": ["x"], "label": "b"}])},
        {},
        (
            (
                "1 row (1) with a number for a text in column 'text'; 1 row (2) with a list for"
                " a text in column 'text'"
            ),
            "{dir}/data.jsonl",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    # Rows
    "an empty text": (
        {"data.csv": GOOD + " ,returns\n"},
        {},
        (
            "1 row (31) with no text in column 'text'",
            "{dir}/data.csv",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    "a missing label": (
        {"data.csv": GOOD + "good,\n" + "good open,\n"},
        {},
        (
            "2 rows (31, 32) with no label in column 'label'",
            "{dir}/data.csv",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    "a missing label among JSON lines": (
        {"data.jsonl": labelled("a", "b", None)},
        {},
        (
            "10 rows (3, 6, 9, 12, 15, ...) with no label in column 'label'",
            "{dir}/data.jsonl",
            "a text and a label in every row",
            "mend the rows, or --on-bad-row drop to leave them out",
        ),
    ),
    "no row that can be used": (
        {"data.csv": "text,label\n" + "good,\n" * 9},
        {"on_bad_row": "drop"},
        (
            "no row can be used: 9 rows (1, 2, 3, 4, 5, ...) with no label in column 'label'",
            "{dir}/data.csv",
            "rows with a text and a label",
            "check the columns and the file",
        ),
    ),
    "a test set without a row that can be used": (
        {"data.csv": GOOD, "test.csv": "text,label\n,returns\n"},
        {"test_dataset": "{dir}/test.csv", "on_bad_row": "drop"},
        (
            "no row can be used: 1 row (1) with no text in column 'text'",
            "{dir}/test.csv",
            "rows with a text and a label",
            "check the columns and the file",
        ),
    ),
    "every training row is in the test set": (
        {"data.csv": GOOD, "test.csv": GOOD},
        {"test_dataset": "{dir}/test.csv", "validation_fraction": 0.0, "drop_overlap": True},
        (
            "every training row has a text of the test split",
            "{dir}/test.csv",
            "rows to train on that are not in the test split",
            "check that these are different data, or omit --drop-overlap",
        ),
    ),
    # Labels
    "one label": (
        {"data.csv": "text,label\n" + "good,a\n" * 20},
        {},
        (
            "every row has the same label: 'a'",
            "{dir}/data.csv, column 'label'",
            "at least two different labels",
            "name another --label-column, or data with more labels",
        ),
    ),
    "a label for every row": (
        {"data.csv": "text,label\n" + "".join(f"good {i},id{i}\n" for i in range(20))},
        {},
        (
            "20 different labels in 20 rows",
            "{dir}/data.csv, column 'label'",
            "labels that repeat; this looks like an id or a text",
            "name another --label-column",
        ),
    ),
    "a test label that cannot be learned": (
        {"data.csv": GOOD, "test.csv": "text,label\ngood,refunds\nbad,returns\n"},
        {"test_dataset": "{dir}/test.csv"},
        (
            "1 label not in the training data: 'refunds'",
            "{dir}/test.csv (test), row 1",
            "labels that the model can learn",
            "add rows with these labels to the training data, or take them out here",
        ),
    ),
    "objects for labels": (
        {"data.jsonl": labelled({"name": "a"}, {"name": "b"})},
        {},
        (
            "{'name': 'a'} cannot be a label",
            "column 'label', rows 1, 3, 5, 7, 9, ... of {dir}/data.jsonl",
            "a text or a whole number",
            "name another --label-column",
        ),
    ),
    "a list of nothing for a label": (
        {"data.jsonl": labelled(["a", None], ["b"])},
        {},
        (
            "a list of labels contains null or an empty text",
            "column 'label', rows 1, 3, 5, 7, 9, ... of {dir}/data.jsonl",
            "texts or whole numbers in every list",
            "fix the lists; a text without labels has an empty list",
        ),
    ),
    "fractions as classes": (
        {"data.jsonl": labelled(0.5, 1.5)},
        {"problem_type": "single_label_classification"},
        (
            "0.5 cannot be a label",
            "column 'label', rows 1, 3, 5, 7, 9, ... of {dir}/data.jsonl",
            "a text or a whole number; numbers with fractions are for regression",
            "--problem-type regression",
        ),
    ),
    "lists as single labels": (
        {"data.jsonl": labelled(["a", "b"], ["b"])},
        {"problem_type": "single_label_classification"},
        (
            "['a', 'b'] is a list of labels",
            "column 'label', rows 1, 2, 3, 4, 5, ... of {dir}/data.jsonl",
            "one label per row",
            "--problem-type multi_label_classification",
        ),
    ),
    "words for amounts": (
        PLAIN,
        {"problem_type": "regression"},
        (
            "'delivery' is not a number",
            "column 'label', rows 1, 4, 7, 10, 13, ... of {dir}/data.csv",
            "a finite number per row, for regression",
            "fix the value, or --problem-type single_label_classification",
        ),
    ),
    "an infinite amount": (
        {"data.jsonl": labelled(0.5, 1e999)},
        {"problem_type": "regression"},
        (
            "inf is too large to be predicted",
            "column 'label', rows 2, 4, 6, 8, 10, ... of {dir}/data.jsonl",
            "numbers up to 3.4e+38, the largest of float32",
            "fix the value, or scale the numbers",
        ),
    ),
    "an amount beyond float32": (
        {"data.jsonl": labelled(0.5, 1e300)},
        {},
        (
            "1e+300 is too large to be predicted",
            "column 'label', rows 2, 4, 6, 8, 10, ... of {dir}/data.jsonl",
            "numbers up to 3.4e+38, the largest of float32",
            "fix the value, or scale the numbers",
        ),
    ),
    "an amount beyond float64": (
        {"data.jsonl": labelled(0.5, 10**400)},
        {"problem_type": "regression"},
        (
            "inf is too large to be predicted",
            "column 'label', rows 2, 4, 6, 8, 10, ... of {dir}/data.jsonl",
            "numbers up to 3.4e+38, the largest of float32",
            "fix the value, or scale the numbers",
        ),
    ),
    "the same amount in every row": (
        {"data.jsonl": labelled(0.5)},
        {},
        (
            "every row has the same label: '0.5'",
            "{dir}/data.jsonl, column 'label'",
            "at least two different labels",
            "name another --label-column, or data with more labels",
        ),
    ),
    "a mark that is neither 0 nor 1": (
        {"data.csv": with_column("a", "0", "1", "2")},
        {"label_column": "a,label"},
        (
            "'delivery' is neither 0 nor 1",
            "column 'label', rows 1, 4, 7, 10, 13, ... of {dir}/data.csv",
            "0 or 1 in each of several label columns",
            "name one --label-column, or columns of 0 and 1",
        ),
    ),
    "several columns for an amount": (
        {"data.csv": with_column("a", "0", "1")},
        {"label_column": "a,label", "problem_type": "regression"},
        (
            "the problem type is regression, but there are several label columns",
            "column 'a', 'label'",
            "several label columns only for multi_label_classification",
            "name one --label-column, or omit --problem-type",
        ),
    ),
    "label names for several columns": (
        {"data.csv": with_column("a", "0", "1"), "names.txt": "x\ny\n"},
        {"label_column": "a,label", "label_names": "{dir}/names.txt"},
        (
            "label names are given, but the names of the label columns are the labels",
            "column 'a', 'label'",
            "label names only for one label column",
            "omit --label-names",
        ),
    ),
    "label names for amounts": (
        {"data.csv": csv_of([row | {"label": i / 7} for i, row in enumerate(ROWS)]), "n.txt": "x"},
        {"problem_type": "regression", "label_names": "{dir}/n.txt"},
        (
            "label names are given, but the labels are numbers to predict",
            "label_names",
            "label names only if the labels are classes",
            "omit --label-names, or --problem-type single_label_classification",
        ),
    ),
    "no such file of label names": (
        PLAIN,
        {"label_names": "{dir}/names.txt"},
        (
            "the label names cannot be read: No such file or directory",
            "{dir}/names.txt",
            "a UTF-8 text file with one label a line, or a .json list of them",
            "check --label-names",
        ),
    ),
    "a folder of label names": (
        PLAIN,
        {"label_names": "{dir}"},
        (
            "the label names cannot be read: Is a directory",
            "{dir}",
            "a UTF-8 text file with one label a line, or a .json list of them",
            "check --label-names",
        ),
    ),
    "an empty file of label names": (
        {"data.csv": GOOD, "n.txt": "\n"},
        {"label_names": "{dir}/n.txt"},
        (
            "there are no label names",
            "{dir}/n.txt",
            "every label once, one a line or in a JSON list",
            "mend the file",
        ),
    ),
    "a label name twice": (
        {"data.csv": GOOD, "n.txt": "delivery\nreturns\ndelivery\n"},
        {"label_names": "{dir}/n.txt"},
        (
            "'delivery' is named twice",
            "{dir}/n.txt",
            "every label once, one a line or in a JSON list",
            "mend the file",
        ),
    ),
    "label names that are no JSON": (
        {"data.csv": GOOD, "n.json": "delivery"},
        {"label_names": "{dir}/n.json"},
        (
            "the label names cannot be read: Expecting value: line 1 column 1 (char 0)",
            "{dir}/n.json",
            "a UTF-8 text file with one label a line, or a .json list of them",
            "check --label-names",
        ),
    ),
    "label names that are a number": (
        {"data.csv": GOOD, "n.json": "3"},
        {"label_names": "{dir}/n.json"},
        (
            "the label names are not a list of names",
            "{dir}/n.json",
            'a JSON list, e.g. ["first", "second"]',
            "mend the file, or write one label a line in a .txt file",
        ),
    ),
    "label names that are an object": (
        {"data.csv": GOOD, "n.json": '{"0": "delivery"}'},
        {"label_names": "{dir}/n.json"},
        (
            "the label names are not a list of names",
            "{dir}/n.json",
            'a JSON list, e.g. ["first", "second"]',
            "mend the file, or write one label a line in a .txt file",
        ),
    ),
    "label names that are lists": (
        {"data.csv": GOOD, "n.json": '[["delivery"], ["returns"]]'},
        {"label_names": "{dir}/n.json"},
        (
            "the label names are not a list of names",
            "{dir}/n.json",
            'a JSON list, e.g. ["first", "second"]',
            "mend the file, or write one label a line in a .txt file",
        ),
    ),
    "label names without one that occurs": (
        {"data.csv": GOOD, "n.txt": "delivery\nreturn\n"},
        {"label_names": "{dir}/n.txt"},
        (
            "2 unknown labels: 'payment', 'returns'",
            "column 'label', rows 2, 3, 5, 6, 8, ... of {dir}/data.csv",
            "one of 'delivery', 'return'",
            "fix the labels, or --label-names",
        ),
    ),
    "a label id beyond the names": (
        {"data.jsonl": labelled(0, 1, 7), "n.txt": "a\nb\n"},
        {"label_names": "{dir}/n.txt"},
        (
            "label 7 is not one of the 2 named labels",
            "column 'label', rows 3, 6, 9, 12, 15, ... of {dir}/data.jsonl",
            "numbers from 0 to 1, one for each label name",
            "check --label-names, or the column",
        ),
    ),
    "no such problem type": (
        PLAIN,
        {"problem_type": "multilabel"},
        (
            "problem_type 'multilabel' is not known",
            "problem_type",
            "one of auto, single_label_classification, multi_label_classification, regression",
            "--problem-type auto",
        ),
    ),
    # Splits
    "no such training split": (
        {"train.csv": GOOD, "test.csv": GOOD},
        {"dataset": "{dir}", "train_split": "trian"},
        (
            "there is no split 'trian'",
            "{dir} (train_split)",
            "one of test, train",
            "--train-split train",
        ),
    ),
    "no such test split": (
        {"train.csv": GOOD, "validation.csv": GOOD},
        {"dataset": "{dir}", "test_split": "holdout"},
        (
            "there is no split 'holdout'",
            "{dir} (test_split)",
            "one of train, validation",
            "--test-split validation",
        ),
    ),
    "a test split of a file without splits": (
        PLAIN,
        {"test_split": "holdout"},
        (
            "there is no split 'holdout'",
            "{dir}/data.csv (test_split)",
            "the name of a split, and this dataset has none",
            "omit --test-split",
        ),
    ),
    "a training split of a file without splits": (
        PLAIN,
        {"train_split": "first"},
        (
            "there is no split 'first'",
            "{dir}/data.csv (train_split)",
            "the name of a split, and this dataset has none",
            "omit --train-split",
        ),
    ),
    "a split that is not known": (
        {"data.csv": with_column("fold", "train", "1")},
        {"split_column": "fold"},
        (
            "split '1' is not known in 15 rows (2, 4, 6, 8, 10, ...)",
            "{dir}/data.csv, split column",
            "in every row one of training, train, validation, valid, val, development, devel, dev,"
            " evaluation, eval, testing, test",
            "mend the values, or omit --split-column",
        ),
    ),
    "a row without a split": (
        {"data.csv": with_column("fold", "train", "test", "")},
        {"split_column": "fold"},
        (
            "no split is named in 10 rows (3, 6, 9, 12, 15, ...)",
            "{dir}/data.csv, split column",
            "in every row one of training, train, validation, valid, val, development, devel, dev,"
            " evaluation, eval, testing, test",
            "mend the values, or omit --split-column",
        ),
    ),
    "no row for training": (
        {"data.csv": with_column("fold", "test")},
        {"split_column": "fold"},
        (
            "no row is for training",
            "{dir}/data.csv, split column",
            "rows whose split is train",
            "mend the values, or omit --split-column",
        ),
    ),
    "no row to test on": (
        {"data.csv": with_column("fold", "train", "dev")},
        {"split_column": "fold"},
        (
            "no row is left for the test split",
            "{dir}/data.csv",
            "rows to evaluate on",
            "name rows for the test split in the split column, or give a --test-dataset",
        ),
    ),
    "a split column beside a test set": (
        {
            "data.csv": with_column("fold", "train", "test"),
            "test.csv": with_column("fold", "test"),
        },
        {"split_column": "fold", "test_dataset": "{dir}/test.csv"},
        (
            (
                "15 rows are for the test split, whose rows come from {dir}/test.csv (2, 4, 6,"
                " 8, 10, ...)"
            ),
            "{dir}/data.csv, split column",
            "one place that the rows of a split come from",
            "leave out --split-column, or the test data",
        ),
    ),
    "one group for all": (
        {"data.csv": with_column("user", "ann")},
        {"group_column": "user"},
        (
            "no row is left for the test split",
            "{dir}/data.csv",
            "rows to evaluate on",
            (
                "give a --test-dataset, a --test-fraction above 0, or more data, or a"
                " --group-column with more and smaller groups"
            ),
        ),
    ),
    # Sizes
    "too few rows to split": (
        {"data.csv": "text,label\ngood,a\nbad,b\nshop,a\nopen,b\n"},
        {},
        (
            "no row is left for the test split",
            "{dir}/data.csv",
            "rows to evaluate on",
            "give a --test-dataset, a --test-fraction above 0, or more data",
        ),
    ),
    "a fraction of one": (
        PLAIN,
        {"test_fraction": 1.0},
        (
            "test_fraction is 1",
            "test_fraction",
            "a share of the rows, at least 0 and below 1",
            "--test-fraction 0.1",
        ),
    ),
    "a negative fraction": (
        PLAIN,
        {"validation_fraction": -0.1},
        (
            "validation_fraction is -0.1",
            "validation_fraction",
            "a share of the rows, at least 0 and below 1",
            "--validation-fraction 0.1",
        ),
    ),
    "a fraction that is no number": (
        PLAIN,
        {"test_fraction": float("nan")},
        (
            "test_fraction is nan",
            "test_fraction",
            "a share of the rows, at least 0 and below 1",
            "--test-fraction 0.1",
        ),
    ),
    "fractions that leave nothing": (
        PLAIN,
        {"validation_fraction": 0.5, "test_fraction": 0.5},
        (
            "validation and test would take 100% of the rows",
            "validation_fraction, test_fraction",
            "shares that leave rows to train on",
            "smaller fractions",
        ),
    ),
    "nothing to test on": (
        PLAIN,
        {"test_fraction": 0.0},
        (
            "no row is left for the test split",
            "{dir}/data.csv",
            "rows to evaluate on",
            "give a --test-dataset, a --test-fraction above 0, or more data",
        ),
    ),
    "no training samples": (
        PLAIN,
        {"max_train_samples": 0},
        (
            "max_train_samples is 0",
            "max_train_samples",
            "a whole number of at least 1",
            "--max-train-samples 128",
        ),
    ),
    "fewer training samples than labels": (
        PLAIN,
        {"max_train_samples": 2},
        (
            "max_train_samples is 2, and there are 3 labels",
            "max_train_samples",
            "at least one row per label",
            "--max-train-samples 12",
        ),
    ),
    "no tokens": (
        PLAIN,
        {"max_length": 0},
        (
            "max_length is 0",
            "max_length",
            "a whole number of at least 1",
            "--max-length 128",
        ),
    ),
    "too few tokens": (
        PLAIN,
        {"max_length": 3},
        (
            "max_length is 3",
            "max_length",
            "4 to 40 tokens, the limits of the model",
            "--max-length 40",
        ),
    ),
    "more tokens than the model takes": (
        PLAIN,
        {"max_length": 41},
        (
            "max_length is 41",
            "max_length",
            "4 to 40 tokens, the limits of the model",
            "--max-length 40",
        ),
    ),
    "a negative seed": (
        PLAIN,
        {"seed": -1},
        (
            "seed is -1",
            "seed",
            "a whole number from 0 to 4294967295, which is what numpy takes",
            "--seed 42",
        ),
    ),
    "a seed that is too large": (
        PLAIN,
        {"seed": 2**32},
        (
            "seed is 4294967296",
            "seed",
            "a whole number from 0 to 4294967295, which is what numpy takes",
            "--seed 42",
        ),
    ),
    "no such treatment of bad rows": (
        PLAIN,
        {"on_bad_row": "skip"},
        (
            "on_bad_row is 'skip'",
            "on_bad_row",
            "error or drop",
            "--on-bad-row drop",
        ),
    ),
    "no such task": (
        PLAIN,
        {"task": "translation"},
        (
            "task 'translation' is not known",
            "task",
            "one of text-classification, token-classification",
            "--task text-classification",
        ),
    ),
    # The model
    "no such model": (
        PLAIN,
        {"model": "{dir}/model"},
        (
            "there is no such folder",
            "model: {dir}/model",
            "a local folder, or a Hub id such as google-bert/bert-base-uncased",
            "check the path; it was looked for in {here}",
        ),
    ),
    "a folder that holds no model": (
        PLAIN,
        {"model": "{dir}"},
        (
            "the folder holds no model: there is no config.json",
            "{dir}",
            "config.json, the tokenizer's files and the weights",
            "give the model's own folder; in this one is: data.csv",
        ),
    ),
    "the model of nobody's home": (
        PLAIN,
        {"model": "~no-such-user/model"},
        (
            "there is no such folder",
            "model: ~no-such-user/model",
            "a local folder, or a Hub id such as google-bert/bert-base-uncased",
            "check the path; it was looked for in {here}",
        ),
    ),
    "a Hub model while offline": (
        PLAIN,
        {"model": "someone/nothing"},
        (
            (
                "there is no such folder, and the model cannot be downloaded: the Hub is switched"
                " off by HF_HUB_OFFLINE"
            ),
            "model: someone/nothing",
            "a local folder, a model in the Hub's cache, or a connection to the Hub",
            (
                "unset HF_HUB_OFFLINE, or download it elsewhere with `hf download"
                " someone/nothing` and give the folder"
            ),
        ),
    ),
}


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_said_once_and_leaves_nothing(
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
    assert caught.value.found == "label 5 is not among the 2 that the data declares"
    assert caught.value.where == "data.arrow, column 'label', row 4"
