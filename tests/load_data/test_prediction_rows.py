"""Texts to predict for are the same from every kind of file, and none is passed over."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import prediction_rows
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.prediction_rows import STDIN, Row, open_rows
from tests import tiny

TEXTS = [row["text"] for row in tiny.rows(2500)]


def rows_of(file: str, columns: list[str], stdin: bytes = b"", **given: Any) -> list[Row]:
    parameters = Parameters(dataset=file, model="", **given)
    return list(open_rows(parameters, columns, stdin=io.BytesIO(stdin)).read)


def texts_of(file: str, columns: list[str], stdin: bytes = b"", **given: Any) -> list[Any]:
    rows = rows_of(file, columns, stdin, **given)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return [row.text for row in rows]


def test_a_full_disk_under_standard_input_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stdin.txt").symlink_to("/dev/full")  # whose every write says so
    monkeypatch.setattr(prediction_rows, "new_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="the disk is full") as caught:
        rows_of("-", ["text"], b"good parcel\n" * 10_000)
    assert caught.value.where == STDIN and "TMPDIR" in caught.value.remedy


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
    assert texts_of(str(file), ["text"]) == TEXTS
    if name in ("a.csv", "a.jsonl", "a.json", "a.txt"):  # and the same from standard input
        assert texts_of("-", ["text"], file.read_bytes()) == TEXTS


@pytest.mark.parametrize(
    ("content", "given"),
    [
        ("id;text\n1;caf\xe9\n", {"encoding": "cp1252", "delimiter": ";"}),
        ("1\tcaf\xe9\n", {"encoding": "cp1252", "column_names": "id,text", "delimiter": "tab"}),
        ('id,body\n1,"caf\xe9"\n', {"encoding": "cp1252", "text_column": "body"}),
        ('id,text\n1,"caf\xe9\n', {"encoding": "cp1252", "quoting": "none"}),
    ],
)
def test_files_and_standard_input_are_read_as_a_run_reads_them(
    content: str, given: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content.encode("cp1252"))
    expected = ['"caf\xe9' if "quoting" in given else "caf\xe9"]
    assert texts_of(str(file), ["text"], **given) == expected
    assert texts_of("-", ["text"], file.read_bytes(), **given) == expected


def test_sentences_of_words(tmp_path: Path) -> None:
    words = {"task": "token-classification"}
    content = b"good\tO\ncard\tB-x\n\nlate\tO\n"
    (tmp_path / "a.conll").write_bytes(content)
    (tmp_path / "a.txt").write_bytes(content)
    sentences = [["good", "card"], ["late"]]
    for file in (str(tmp_path / "a.conll"), str(tmp_path / "a.txt"), "-"):
        assert texts_of(file, ["tokens"], content, **words) == sentences
    lines = b"good card\n\nlate\n"  # texts, one of which is missing
    (tmp_path / "a.txt").write_bytes(lines)
    for file in (str(tmp_path / "a.txt"), "-"):
        found = rows_of(file, ["tokens"], lines, **words)
        assert [row.text for row in found] == ["good card", None, "late"]


def test_the_only_column_may_have_another_name(tmp_path: Path) -> None:
    file = str(tiny.write_csv(tmp_path / "a.csv", [{"message": text} for text in TEXTS[:3]]))
    assert texts_of(file, ["text"]) == TEXTS[:3]


def test_pairs(tmp_path: Path) -> None:
    rows = [{"premise": "a, b", "other": "c"}, {"premise": "d", "other": "e"}]
    file = str(tiny.write_csv(tmp_path / "a.csv", rows))
    pairs = [("a, b", "c"), ("d", "e")]
    assert texts_of(file, ["premise", "other"]) == pairs
    (tmp_path / "a.txt").write_text("a, b\tc\nd\te")
    assert texts_of(str(tmp_path / "a.txt"), ["premise", "other"]) == pairs


@pytest.mark.parametrize(
    ("name", "content", "found", "where"),
    [
        ("a.csv", "text,id\ngood,1\n ,2\nx,3\n", "no text in column 'text'", "a.csv, row 2"),
        ("a.jsonl", '{"text": "a"}\n{"text": 3}\n', "no text in column 'text'", "a.jsonl, row 2"),
        ("a.jsonl", '{"text": "a"}\nnothing\n', "not valid JSON", "a.jsonl, line 2"),
        ("a.txt", "good\n\nbad\n", "the line is blank", "a.txt, line 2"),
    ],
)
def test_a_row_without_a_text_is_reported_and_others_continue(
    name: str, content: str, found: str, where: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    for file, place in ((str(tmp_path / name), str(tmp_path / where)), ("-", "")):
        rows = rows_of(file, ["text"], content.encode())
        (bad,) = [row for row in rows if row.problem]
        assert (bad.number, bad.text) == (2, None)
        assert found in bad.problem
        assert bad.place == (place or STDIN + where.removeprefix(name))
        assert len(rows) == len(content.splitlines()) - (name == "a.csv")


@pytest.mark.parametrize(
    ("name", "content", "found", "where"),
    [
        ("a.csv", "notes,id\ngood,1\n", "there is no column 'text'", "a.csv"),
        ("a.txt", b"good\n\xff\n", "not UTF-8", "a.txt, byte 5, line 2"),
    ],
)
def test_unreadable_files_are_reported_before_anything_is_predicted(
    name: str, content: str | bytes, found: str, where: str, tmp_path: Path
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        open_rows(Parameters(dataset=str(tmp_path / name), model=""), ["text"], stdin=io.BytesIO())
    assert found in caught.value.found
    assert caught.value.where == str(tmp_path / where)


def test_the_only_column_with_a_usual_name_is_used_and_reported(tmp_path: Path) -> None:
    file = str(tiny.write_csv(tmp_path / "a.csv", [{"id": "1", "message": "good"}]))
    opened = open_rows(Parameters(dataset=file, model=""), ["text"], stdin=io.BytesIO())
    assert [row.text for row in opened.read] == ["good"]
    assert opened.notes == (f"{file} has no column 'text': using 'message'",)
