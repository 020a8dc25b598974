"""Files that are empty, damaged, incomplete, or not what their suffix indicates."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.load_data.refused import GOOD, ROWS, Case, json_lines

OBJECT = '{"text": "...", "label": "..."}'
LONG = (GOOD * 400).encode()  # more than one block of any compression
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


def parquet(data: list[dict[str, Any]] | pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(data if isinstance(data, pa.Table) else pa.Table.from_pylist(data), buffer)
    return buffer.getvalue()


def zipped(name: str, content: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def empty(name: str, content: str | bytes) -> Case:
    return Case({name: content}, found="the file has no rows", expected="row")


def unpacked(suffix: str, content: bytes | str, found: str) -> Case:
    return Case({f"data.csv{suffix}": content}, found=found, expected=f"a complete {suffix} file")


CASES = {
    "an empty file": empty("data.csv", ""),
    "only a header": empty("data.csv", "text,label\n"),
    "blank lines": empty("data.csv", "\n  \n\n"),
    "an empty JSON file": empty("data.json", ""),
    "an empty list": empty("data.json", "[]"),
    "Parquet without rows": empty("data.parquet", parquet(pa.table({"text": [], "label": []}))),
    "JSON that ends too early": Case(
        {"data.json": '[{"text": "good", "label": '},
        found="not valid JSON",
        where="{file}, line 1, column 28",
        expected=OBJECT,
    ),
    "JSON with an error in a later line": Case(
        {"data.json": '[{"a": 1},\n {"a": }]'},
        found="not valid JSON",
        where="{file}, line 2, column 8",
        expected=OBJECT,
    ),
    "JSON of strings": Case(
        {"data.json": '["good", "bad"]'}, found='not objects ... "good"', expected=OBJECT
    ),
    "JSON without rows": Case(
        {"data.json": '{"name": "good"}'}, found="an object ... no list of rows"
    ),
    "JSON with rows in several fields": Case(
        {"data.json": json.dumps({"first": ROWS, "second": ROWS})},
        found="no field 'train'",
        expected="first, second",
        remedy="--train-split first",
    ),
    "JSON lines with a bad line": Case(
        {"data.jsonl": json_lines(ROWS) + '{"text": \n'},
        found="1 row (31) ... not valid JSON",
        where="{file}, line 31",
        remedy="--on-bad-row drop",
    ),
    "JSON lines of numbers": Case(
        {"data.jsonl": "1\n2\n"},
        found="number, not an object",
        where="{file}, line 1",
        expected=OBJECT,
        remedy=".json",
    ),
    "JSON lines that are one document": Case(
        {"data.jsonl": '[\n{\n"a": 1}]'},
        found="not valid JSON",
        where="{file}, line 1",
        expected=OBJECT,
        remedy="rename the file to .json",
    ),
    "JSON lines of lists without names": Case(
        {"data.jsonl": '["good", "a"]\n' * 9},
        found='2 ... no names: ["good", "a"]',
        remedy="--column-names text,label",
    ),
    "half a character in JSON": Case(
        {"data.jsonl": '{"text": "\\ud800", "label": "a"}\n'},
        found="not valid JSON ... surrogate",
        where="{file}, line 1",
        expected=OBJECT,
    ),
    "Parquet that is none": Case({"data.parquet": b"PAR1 and so on"}, found="not valid Parquet"),
    "Parquet that is cut": Case({"data.parquet": parquet(ROWS)[:-20]}, found="not valid Parquet"),
    "Parquet with text that is not UTF-8": Case(
        {"data.parquet": parquet(NOT_UTF8)},
        found="1 row (2) ... not UTF-8 ... 'text'",
        remedy="--on-bad-row drop",
    ),
    "Arrow that is none": Case({"data.arrow": b"ARROW1 and so on"}, found="not valid Arrow"),
    "CSV that is gzip": Case(
        {"data.csv": gzip.compress(GOOD.encode(), mtime=0)},
        found="gzip data",
        expected=".csv",
        remedy="data.csv.gz",
    ),
    "gzip that is CSV": unpacked(".gz", GOOD, "Not a gzipped file"),
    "gzip that is cut": unpacked(".gz", gzip.compress(LONG)[:-20], "ends too early"),
    "bzip2 that is cut": unpacked(".bz2", bz2.compress(LONG)[:-20], "ends too early"),
    "xz that is cut": unpacked(".xz", lzma.compress(LONG)[:-20], "ends too early"),
    "Zstandard that is none": unpacked(".zst", GOOD, "Unknown frame descriptor"),
    "a zip that is none": Case(
        {"data.zip": GOOD}, found="archive cannot be read", expected="a complete .zip file"
    ),
    "a zip of no data": Case(
        {"data.zip": zipped("a.md", "# hello")}, found="no data file: a.md", expected=".csv, .tsv"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_file_that_is_not_its_format_is_refused(
    case: Case, refuse: Callable[[Case], None]
) -> None:
    refuse(case)
