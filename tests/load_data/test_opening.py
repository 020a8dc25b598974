"""Where data can lie and what it can look like: the same rows from all of them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.opening import (
    ReadOptions,
    Source,
    open_source,
    split_names,
)
from kfp_finetune.components.load_data.readers.formats import LISTED

Row = dict[str, Any]
ROWS = [{"text": f"good {i}\nbad, so bad", "label": "abc"[i % 3]} for i in range(2_500)]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstandard.compress(data[:100]) + zstandard.compress(data[100:]),
}


def rows_of(source: Source) -> list[Row]:
    rows = []
    for batch in source.read():
        assert not batch.problems
        assert len(batch) <= 1_000
        values = zip(*batch.columns.values(), strict=True)
        rows += [dict(zip(batch.columns, cells, strict=True)) for cells in values]
    assert source.rows == len(rows)
    return rows


def read(dataset: Path | str, split: str | None = None, **options: Any) -> list[Row]:
    return rows_of(open_source(str(dataset), split, ReadOptions(**options)))


def fails(dataset: Path | str, split: str | None = None, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(dataset, split, **options)
    return str(raised.value)


def content(suffix: str, rows: list[Row]) -> bytes:
    table = pa.Table.from_pylist(rows)
    out = io.BytesIO()
    if suffix == ".parquet":
        pq.write_table(table, out, row_group_size=700)
    elif suffix == ".arrow":
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=1_500)
    elif suffix == ".stream.arrow":
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
    elif suffix == ".json":
        return json.dumps(rows).encode()
    elif suffix in (".jsonl", ".ndjson"):
        return "".join(json.dumps(row) + "\n" for row in rows).encode() + b"\n \n"
    else:
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t" if suffix == ".tsv" else ",")
        writer.writerow(list(rows[0]))
        writer.writerows(row.values() for row in rows)
        return text.getvalue().encode() + b"\n\n"
    return out.getvalue()


def write(path: Path, rows: list[Row] = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(path.suffix, rows))
    return path


FORMATS = [".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".stream.arrow"]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_in_every_compression(suffix: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / f"DATA{suffix.upper()}{compression}"
    path.write_bytes(COMPRESS[compression](content(suffix, ROWS)))
    source = open_source(str(path))
    assert (source.name, source.notes) == (str(path), ())
    assert rows_of(source) == ROWS
    assert rows_of(source) == ROWS
    assert split_names(str(path)) == []


@pytest.mark.parametrize("compression", [c for c in COMPRESS if c])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_damaged_compression_is_reported(suffix: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / f"data{suffix}{compression}"
    whole = COMPRESS[compression](content(suffix, ROWS))
    for damaged in (whole[: len(whole) // 2], whole[:30] + b"x" * 30 + whole[60:], b"text,label\n"):
        path.write_bytes(damaged)
        message = fails(path)
        assert message.startswith("the compressed file cannot be read: ")
        assert message.endswith(
            f"\n  where:    {path}\n  expected: a complete {compression} file\n"
            "  remedy:   copy or download it again"
        )


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_damaged_tables_are_reported(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"data{suffix}")
    whole = path.read_bytes()
    kind = suffix[1:].title()
    for damaged in (whole[:-40], whole[40:], b"text,label\na,b\n"):
        path.write_bytes(damaged)
        message = fails(path)
        assert message.startswith(f"not valid {kind}: ")
        assert message.endswith(
            f"\n  where:    {path}\n  expected: a complete {kind} file\n  remedy:   check that the"
            " suffix is right; copy or download the file again"
        )


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_archives(tmp_path: Path) -> None:
    one = content(".csv", ROWS[:5])
    path = archive(
        tmp_path / "one.zip", {"README.txt": b"x", "a/data.csv": one, "__MACOSX/._d": b""}
    )
    assert read(path) == ROWS[:5]
    assert open_source(str(path)).name == f"{path}: a/data.csv"
    path = archive(tmp_path / "parts.zip", {"1.csv": one, "2.csv": one})
    assert read(path) == ROWS[:5] * 2
    path = archive(tmp_path / "splits.zip", {"train.csv": one, "test.csv": one})
    assert split_names(str(path)) == ["test", "train"]
    assert read(path, "test") == ROWS[:5]
    path = archive(tmp_path / "mixed.zip", {"1.csv": one, "2.csv": one, "3.jsonl": b"{}"})
    assert fails(path) == (
        "the files have several formats: .csv, .jsonl\n"
        f"  where:    {path}/3.jsonl\n"
        f"  expected: only .csv files, like the others in {path}\n"
        "  remedy:   give a pattern, e.g. '*.csv', or one of the files"
    )
    path = archive(tmp_path / "none.zip", {"picture.png": b"", "x.doc": b""})
    assert fails(path) == (
        "the archive has no data file: picture.png, x.doc\n"
        f"  where:    {path}\n"
        f"  expected: a file ending in {LISTED}\n"
        "  remedy:   check that this is the right archive"
    )
    path.write_bytes(b"PK\x03\x04 and nothing")
    assert fails(path) == (
        "the archive cannot be read: File is not a zip file\n"
        f"  where:    {path}\n"
        "  expected: a complete .zip file\n"
        "  remedy:   copy or download it again"
    )
    path = archive(tmp_path / "locked.zip", {"a.csv": one})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the local header's flag
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # and the directory's
    path.write_bytes(data)
    assert fails(path) == (
        "the archive is encrypted\n"
        f"  where:    {path}\n"
        "  expected: an archive without a password\n"
        "  remedy:   unpack it and use the file or folder"
    )


def test_patterns(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", ROWS[10:20])
    write(tmp_path / "a.csv", ROWS[:10])
    pattern = tmp_path / "*.csv"
    assert read(pattern) == ROWS[:20]
    (tmp_path / "c.csv").write_text("text,lable\na,b\n")
    assert fails(pattern) == (
        "the columns are 'text', 'lable'\n"
        f"  where:    {tmp_path}/c.csv\n"
        f"  expected: those of {tmp_path}/a.csv: 'text', 'label'\n"
        "  remedy:   give the file the same columns, or remove it"
    )
    (tmp_path / "c.csv").write_text("label,text\na,b\n")
    assert read(pattern)[20:] == [{"text": "b", "label": "a"}]
    write(tmp_path / "d.jsonl")
    assert fails(tmp_path / "*") == (
        "the files have several formats: .csv, .jsonl\n"
        f"  where:    {tmp_path}/d.jsonl\n"
        f"  expected: only .csv files, like the others in {tmp_path}/*\n"
        "  remedy:   give a pattern, e.g. '*.csv', or one of the files"
    )
    assert fails(tmp_path / "*.tsv") == (
        "no file matches\n"
        f"  where:    {tmp_path}/*.tsv\n"
        f"  expected: a pattern of files ending in {LISTED}\n"
        "  remedy:   check the pattern and the folder"
    )


def test_a_file_named_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    assert read(write(tmp_path / "data[1].csv")) == ROWS


def test_folders_of_splits(tmp_path: Path) -> None:
    for i, name in enumerate(("train-0.csv", "train-1.csv", "dev.csv", "more/my_test.csv")):
        write(tmp_path / name, ROWS[i * 10 :][:10])
    write(tmp_path / "testimonials.csv")
    (tmp_path / "README.txt").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache/x.json").write_text("{}")
    assert split_names(str(tmp_path)) == ["test", "train", "validation"]
    assert read(tmp_path) == read(tmp_path, "train") == ROWS[:20]
    assert read(tmp_path, "validation") == read(tmp_path, "dev") == ROWS[20:30]
    assert read(tmp_path, "test") == ROWS[30:40]
    source = open_source(str(tmp_path))
    assert source.warnings[0] == (
        f"{tmp_path}: skipped, because the name indicates no split: testimonials.csv"
    )
    assert source.notes == (
        f"{tmp_path}: skipped (unsupported file type; name the file to read it): README.txt",
    )
    assert fails(tmp_path, "extra") == (
        "there is no split 'extra'\n"
        f"  where:    {tmp_path}\n"
        "  expected: one of test, train, validation\n"
        "  remedy:   --train-split test"
    )


def test_folders_without_splits(tmp_path: Path) -> None:
    write(tmp_path / "part/2.jsonl", ROWS[10:])
    write(tmp_path / "part/1.jsonl", ROWS[:10])
    assert split_names(str(tmp_path)) == []
    assert read(tmp_path) == ROWS
    write(tmp_path / "part/3.csv")
    assert "the files have several formats: .csv, .jsonl" in fails(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert fails(empty) == (
        "the folder has no data files\n"
        f"  where:    {empty}\n"
        f"  expected: files ending in {LISTED}, which may be compressed\n"
        "  remedy:   check the path"
    )


def test_folders_that_the_datasets_library_saved(tmp_path: Path) -> None:
    features = datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=["c", "b", "a"]),
        all=datasets.Sequence(datasets.ClassLabel(names=["x", "y"])),
    )
    rows = [{"text": "good", "label": 2, "all": [0, 1]}] * 3
    one = datasets.Dataset.from_list(rows, features=features)
    one.save_to_disk(tmp_path / "one")
    assert split_names(str(tmp_path / "one")) == []
    source = open_source(str(tmp_path / "one"))
    assert rows_of(source) == rows
    names = {"label": ["c", "b", "a"], "all": ["x", "y"]}
    assert source.label_names == names
    datasets.DatasetDict(train=one, dev=one.select([0])).save_to_disk(tmp_path / "two")
    assert split_names(str(tmp_path / "two")) == ["train", "validation"]
    assert len(read(tmp_path / "two", "validation")) == len(read(tmp_path / "two", "dev")) == 1
    one.to_parquet(tmp_path / "one.parquet")
    assert open_source(str(tmp_path / "one.parquet")).label_names == names
    (arrow,) = (tmp_path / "one").glob("*.arrow")
    assert open_source(str(arrow)).label_names == names
    arrow.unlink()
    assert "the saved dataset cannot be loaded: " in fails(tmp_path / "one")


def test_labels_as_folders(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("pos", "neg"):
            for i in range(3):
                path = tmp_path / split / label / f"{i}_7.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{split} {label} {i}\nsecond line")
        (tmp_path / split / "urls_pos.txt").write_text("x")
    (tmp_path / "README").write_text("x")
    assert split_names(str(tmp_path)) == ["test", "train"]
    assert read(tmp_path, "test") == [
        {"text": f"test {label} {i}\nsecond line", "label": label}
        for label in ("neg", "pos")
        for i in range(3)
    ]
    assert split_names(str(tmp_path / "train")) == []
    source = open_source(str(tmp_path / "train"))
    assert len(rows_of(source)) == 6
    assert source.notes == (
        f"{tmp_path}/train: every file is a text, and its folder's name the label: neg, pos",
    )
    bad = tmp_path / "train/neg/1_7.txt"
    bad.write_bytes(b"caf\xe9")
    assert f"{bad}, byte 3, line 1" in fails(tmp_path / "train")


def test_labels_as_files(tmp_path: Path) -> None:
    (tmp_path / "ham.txt").write_text("see you\r\n\r\nsoon\u2028er\r\n")
    (tmp_path / "spam.txt").write_text("win")
    expected = [
        {"text": "see you", "label": "ham"},
        {"text": "soon\u2028er", "label": "ham"},
        {"text": "win", "label": "spam"},
    ]
    assert read(tmp_path) == read(tmp_path / "*.txt") == expected
    assert fails(tmp_path / "ham.txt") == (
        "plain text has no labels\n"
        f"  where:    {tmp_path}/ham.txt\n"
        "  expected: a folder with one sub-folder of .txt files per label, or one .txt file per"
        " label\n"
        "  remedy:   arrange the files like that, or put the labels into a file beside the"
        " texts, line by line (train_text.txt, train_labels.txt), or convert them to .csv or"
        " .jsonl; for words with tags, one per line: --task token-classification"
    )


JSON: dict[str, tuple[str, str | None, list[Row]]] = {
    "objects": ('[{"a": 1}, {"b": 2}]', None, [{"a": 1, "b": None}, {"a": None, "b": 2}]),
    "columns": ('{"a": [1, 2], "b": ["x", "y"]}', None, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    "columns with lists": ('{"a": ["x"], "b": [[1, 2]]}', None, [{"a": "x", "b": [1, 2]}]),
    "columns of pandas": (
        '{"a": {"0": 1, "1": 2}, "b": {"0": 3, "1": 4}}',
        None,
        [{"a": 1, "b": 3}, {"a": 2, "b": 4}],
    ),
    "splits": ('{"train": [{"a": 1}], "test": [{"a": 2}]}', "test", [{"a": 2}]),
    "splits by other names": ('{"x": [{"a": 1}], "val": [{"a": 2}]}', "validation", [{"a": 2}]),
    "the default split": ('{"train": [{"a": 1}], "test": [{"a": 2}]}', None, [{"a": 1}]),
    "columns in splits": ('{"train": {"a": [1], "b": [2]}, "v": 1}', None, [{"a": 1, "b": 2}]),
    "a path": ('{"v": {"x": [{"a": 1}], "y": [{"a": 2}]}}', "v.y", [{"a": 2}]),
    "the only field": ('{"version": 1, "data": [{"a": 1}]}', None, [{"a": 1}]),
    "lines": ('{"a": 1}\n\n{"a": 2}\n', None, [{"a": 1}, {"a": 2}]),
}


@pytest.mark.parametrize("case", JSON)
def test_json(case: str, tmp_path: Path) -> None:
    text, split, expected = JSON[case]
    path = tmp_path / "data.json"
    path.write_text(text)
    assert read(path, split) == expected


def test_json_rows_that_are_lists(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text('{"train": [["hi", "a"]], "oos_train": [["hi", "b"]]}')
    names = ("text", "label")
    assert split_names(str(path)) == ["oos_train", "train"]
    assert read(path, "oos_train", column_names=names) == [{"text": "hi", "label": "b"}]
    assert fails(path) == (
        'the rows are lists of 2, and there are no names: ["hi", "a"]\n'
        f"  where:    {path}, field train\n"
        "  expected: a name for every cell\n"
        "  remedy:   --column-names text,label"
    )
    assert fails(path, "validation", column_names=names) == (
        "there is no field 'validation'\n"
        f"  where:    {path}\n"
        "  expected: one of the fields with rows: train, oos_train\n"
        "  remedy:   --train-split train"
    )
    lines = tmp_path / "data.jsonl"
    lines.write_text('["hi", "a"]\n["ho", "b"]\n')
    assert read(lines, column_names=names)[1] == {"text": "ho", "label": "b"}


def test_json_lines_that_are_not_rows(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"a": "\u2028"}\n{"a": \n3\n["x", 1]\n{"a": "\\ud800"}\n\n' + "[" * 10_000)
    (batch,) = open_source(str(path)).read()
    assert batch.columns == {"a": ["\u2028", None, None, None, None, None]}
    assert batch.problems == {
        1: "not valid JSON: Expecting value",
        2: "a number, not a row",
        3: "2 cells for 1 column",
        4: "not valid JSON: half a surrogate pair, which is not a character",
        5: "not valid JSON: nested too deeply",
    }
    assert batch.places[5] == f"{path}, line 7"


def test_unused_column_names_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet")
    assert open_source(str(path), options=ReadOptions(column_names=("a", "b"))).notes == (
        f"{path} names its columns: column_names is not used",
    )


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="users are a thing of Unix")
def test_missing_permissions_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "sub/data.csv")
    table = write(tmp_path / "sub/data.parquet")
    tmp_path.chmod(0o711)
    for parent in tmp_path.parents:  # pytest's own, which another user may not enter
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o711)
    path.chmod(0)
    table.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        for file in (path, table):
            assert fails(file) == (
                "permission denied\n"
                f"  where:    {file}\n"
                "  expected: a file that this user may read\n"
                f"  remedy:   chmod +r {file}"
            )
        if user == 0:
            os.seteuid(0)
            (tmp_path / "sub").chmod(0)
            os.seteuid(65534)
        else:
            (tmp_path / "sub").chmod(0)
        for place in (path, tmp_path / "sub"):
            assert fails(place) == (
                "permission denied\n"
                f"  where:    {place}\n"
                "  expected: a file or folder that this user may read\n"
                f"  remedy:   chmod +r {place}"
            )
    finally:
        os.seteuid(user)
        (tmp_path / "sub").chmod(0o755)


def test_a_hub_id_while_offline_has_no_splits() -> None:
    with pytest.raises(InputError, match="switched off by HF_HUB_OFFLINE"):
        split_names("someone/nothing")
