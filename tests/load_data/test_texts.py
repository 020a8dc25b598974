"""Texts to predict for are the same from every kind of file, and none is passed over."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.texts import read_texts
from tests import tiny

TEXTS = [row["text"] for row in tiny.rows(2500)]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.parquet", "a.txt", "a.txt.gz"])
def test_the_same_texts_from_every_kind_of_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    rows = [{"id": str(i), "text": text} for i, text in enumerate(TEXTS)]
    lines = "".join(text + "\n" for text in TEXTS)
    match name:
        case "a.csv":
            tiny.write_csv(file, rows)
        case "a.jsonl":
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "a.json":
            file.write_text(json.dumps(rows))
        case "a.parquet":
            pq.write_table(pa.Table.from_pylist(rows), file)
        case "a.txt":
            file.write_text(lines.replace("\n", "\r\n"))
        case "a.txt.gz":
            file.write_bytes(gzip.compress(lines.encode()))
    assert list(read_texts(str(file), ["text"])) == TEXTS


def test_the_only_column_may_have_another_name(tmp_path: Path) -> None:
    file = str(tiny.write_csv(tmp_path / "a.csv", [{"message": text} for text in TEXTS[:3]]))
    assert list(read_texts(file, ["text"])) == TEXTS[:3]


def test_pairs(tmp_path: Path) -> None:
    rows = [{"premise": "a, b", "other": "c"}, {"premise": "d", "other": "e"}]
    file = str(tiny.write_csv(tmp_path / "a.csv", rows))
    pairs = [("a, b", "c"), ("d", "e")]
    assert list(read_texts(file, ["premise", "other"])) == pairs
    (tmp_path / "a.txt").write_text("a, b\tc\nd\te")
    assert list(read_texts(str(tmp_path / "a.txt"), ["premise", "other"])) == pairs


@pytest.mark.parametrize(
    ("name", "content", "found", "where"),
    [
        ("a.csv", "text,id\ngood,1\n ,2\n", "no text in column 'text'", "a.csv, row 2"),
        ("a.jsonl", '{"text": "a"}\n{"text": 3}\n', "no text in column 'text'", "a.jsonl, row 2"),
        ("a.jsonl", '{"text": "a"}\nnothing\n', "", "a.jsonl, line 2"),
        ("a.csv", "message,id\ngood,1\n", "there is no column 'text'", "a.csv"),
        ("a.txt", "good\n\nbad\n", "the line is blank", "a.txt, line 2"),
        ("a.txt", b"good\n\xff\n", "not UTF-8", "a.txt, byte 5, line 2"),
    ],
)
def test_what_cannot_be_read_is_said(
    name: str, content: str | bytes, found: str, where: str, tmp_path: Path
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        list(read_texts(str(tmp_path / name), ["text"]))
    assert found in caught.value.found
    assert caught.value.where == str(tmp_path / where)
