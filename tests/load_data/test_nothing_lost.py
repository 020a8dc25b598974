"""Nothing of the data is lost, or read as something else, without a word about it."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.artifacts import data_report
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.opening import ReadOptions, open_source, split_names
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.readers import text_files
from tests import tiny

ROWS = tiny.rows(60)


@pytest.fixture
def load(tiny_model: Path, tmp_path: Path) -> Any:
    def load(path: Path, **given: Any) -> data_report.DataReport:
        parameters: dict[str, Any] = {"model": str(tiny_model), "max_length": 16} | given
        parameters.setdefault("dataset", str(path))
        out, page = tmp_path / "out", tmp_path / "data.html"
        load_data(Parameters(**parameters), str(out), str(page))
        report = data_report.read(out)
        for text in [*report.notes, *report.warnings]:  # the page shows what the JSON has
            assert text in html.unescape(re.sub(r"</?span[^>]*>", "", page.read_text()))
        return report

    return load


def pasted(error: InputError) -> dict[str, Any]:
    """The parameters that a remedy's flags are."""
    words = shlex.split(error.remedy[error.remedy.index("--") :])
    return {w[2:].replace("-", "_"): words[i + 1] for i, w in enumerate(words) if w[:2] == "--"}


def table(rows: list[list[str]], mark: str = "\t") -> str:
    return "".join(mark.join(row) + "\n" for row in rows)


LINES = [[row["label"], row["text"]] for row in ROWS]
PAIRS = [[row["text"], other["text"]] for row, other in zip(ROWS, ROWS[1:] + ROWS[:1], strict=True)]


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("data.tsv", table(LINES), {"label": "label", "text": "text"}),
        ("data.txt", table(LINES), {"label": "label", "text": "text"}),
        (
            "data.csv",
            table([[*pair, f"{i % 7 / 2}"] for i, pair in enumerate(PAIRS)], ","),
            {"text": "sentence1", "text_pair": "sentence2", "label": "score"},
        ),
        (
            "numbers.tsv",  # of labels, as GoEmotions has them
            table([[text, "2" if i % 3 else "2,7", f"x{i}"] for i, (_, text) in enumerate(LINES)]),
            {"text": "text", "label": "label"},
        ),
        (
            "ids.csv",
            table([[f"x{i}", text, label] for i, (label, text) in enumerate(LINES)], ","),
            {"text": "text", "label": "label"},
        ),
    ],
)
def test_the_remedy_for_a_file_without_a_header_works_when_pasted(
    name: str, content: str, columns: dict[str, str], load: Any, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    given: dict[str, Any] = {}
    for _ in range(2):  # of a .txt the delimiter comes first
        with pytest.raises(InputError) as caught:
            load(path, **given)
        given |= pasted(caught.value)
        if "column_names" in given:
            break
    report = load(path, **given)
    assert report.columns == columns
    assert sum(report.rows_read.values()) == len(ROWS)
    assert not set(given["column_names"].split(",")) & set(content.split("\n")[0].split("\t"))


@pytest.mark.parametrize(
    "header",
    ["kind,phrase", "1,0", "0,1", ",text", "kind,How do you like our new shop on the web?"],
)
def test_a_header_is_not_taken_for_a_row(header: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(header + "\n" + table(LINES, ","))
    assert open_source(str(path)).unnamed == ()


def test_usual_names_of_pairs_are_known(load: Any, tmp_path: Path) -> None:
    for one, two in (("premise", "hypothesis"), ("Sentence1", "Sentence2")):
        rows = [{one: a, two: b, "Score": i % 5 / 4} for i, (a, b) in enumerate(PAIRS)]
        report = load(tiny.write_csv(tmp_path / "data.csv", rows))
        assert report.columns == {"text": one, "text_pair": two, "label": "Score"}
    assert load(tmp_path / "data.csv", text_column=one).columns == {"text": one, "label": "Score"}


@pytest.mark.parametrize("nested", [True, False])
def test_a_file_of_questions_and_answers_is_recognised(
    nested: bool, load: Any, tmp_path: Path
) -> None:
    question = {"question": "Who?", "id": "1", "answers": [{"text": "A", "answer_start": 0}]}
    document: Any = [question | {"context": "A man."}]
    if nested:
        document = {"data": [{"paragraphs": [{"context": "A man.", "qas": [question]}]}]}
    (tmp_path / "data.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="the data is for question answering"):
        load(tmp_path / "data.json")


def test_excels_line_names_the_delimiter_and_lines_keep_their_numbers(
    load: Any, tmp_path: Path
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("sep=;\ntext;label\n" + table([[t, x] for x, t in LINES], ";") + "a;b;c\n")
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.where == f"{path}, line {len(ROWS) + 3}"
    assert load(path, on_bad_row="drop").columns == {"text": "text", "label": "label"}


def test_cells_over_many_lines_are_named_with_their_lines(load: Any, tmp_path: Path) -> None:
    swallowed = "".join(f"the card number {i}\n" for i in range(30))
    cell = f'"{swallowed}"'
    content = "text,label\n" + table([[t, x] for x, t in LINES], ",") + f"{cell},returns\n"
    (tmp_path / "data.csv").write_text(content)
    report = load(tmp_path / "data.csv")
    first = len(ROWS) + 2
    (warning,) = [w for w in report.warnings if "as one row" in w]
    assert f"lines {first} to {first + 30} are read as one row" in warning
    assert "--quoting none" in warning
    # Texts of two lines are not remarkable.
    (tmp_path / "data.csv").write_text(content.replace(cell, '"a\nb"'))
    assert not any("as one row" in w for w in load(tmp_path / "data.csv").warnings)


@pytest.mark.parametrize("names", [("a.csv", "a.csv"), ("a.csv", "../a.csv"), ("/a.csv", "a.csv")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_an_archive_do_not_replace_each_other(
    names: tuple[str, str], load: Any, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "text,label\nx,y\n")
    with pytest.raises(InputError, match="would be unpacked to the same path"):
        load(tmp_path / "data.zip")


def test_files_that_are_not_read_are_named(load: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        tiny.write_csv(folder / name, ROWS if name == "train.csv" else tiny.rows(30, seed=1))
    for name in ("README.md", "train.xlsx"):
        (folder / name).write_text("x")
    report = load(folder)
    assert any("README.md, train.xlsx" in note for note in report.notes)
    assert any(
        w.endswith("skipped, because the name indicates no split: sample_submission.csv")
        for w in report.warnings
    )
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    assert any("README.md, train.xlsx" in note for note in load(tmp_path / "data.zip").notes)


def test_splits_of_a_document_that_are_not_read_are_named_and_counted(
    load: Any, tmp_path: Path
) -> None:
    path = tmp_path / "data.json"
    document = {"train": ROWS, "val": ROWS[:9], "test": ROWS[9:18], "oos_train": ROWS[:5]}
    path.write_text(json.dumps(document))
    report = load(path)
    assert f"{path}: unused splits: oos_train (5 rows)" in report.warnings


def test_a_test_file_without_labels_has_a_remedy_that_works(load: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"id": i, "text": row["text"], "target": row["label"]} for i, row in enumerate(ROWS)]
    tiny.write_csv(folder / "train.csv", rows)
    tiny.write_csv(folder / "test.csv", [{"id": 1, "text": "good card"}])
    with pytest.raises(InputError, match="there is no column 'target': the rows have no") as caught:
        load(folder, label_column="target")
    report = load(folder, label_column="target", **pasted(caught.value))
    assert sum(report.rows_read.values()) == len(ROWS)


@pytest.mark.parametrize("word", ["dev", "development", "eval", "evaluation", "valid", "Val"])
def test_a_split_is_recognised_the_same_way_everywhere(
    word: str, load: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    names = {"training": 40, word: 10, "testing": 10}
    parts: dict[str, list[dict[str, str]]] = {}
    for name, count in names.items():
        parts[name] = tiny.rows(count, seed=len(parts))
        tiny.write_csv(folder / f"{name}.csv", parts[name])
    (tmp_path / "data.json").write_text(json.dumps(parts))
    rows = [row | {"part": name} for name, part in parts.items() for row in part]
    column = tiny.write_csv(tmp_path / "column.csv", rows)
    expected = {"train": 40, "validation": 10, "test": 10}
    for given in ({"dataset": str(folder)}, {"dataset": str(tmp_path / "data.json")}):
        assert split_names(given["dataset"]) == ["test", "train", "validation"]
        assert load(folder, **given).rows_read == expected
    assert load(column, split_column="part").rows_read == expected


def _parallel(folder: Path, count: int = 60) -> Path:
    folder.mkdir()
    names = sorted({row["label"] for row in ROWS})
    for split, rows in (("train", ROWS[:40]), ("val", ROWS[40:50]), ("test", ROWS[50:count])):
        (folder / f"{split}_text.txt").write_text("".join(f"{r['text']}\n" for r in rows))
        numbers = [names.index(row["label"]) for row in rows]
        (folder / f"{split}_labels.txt").write_text("".join(f"{n}\n" for n in numbers))
    (folder / "mapping.txt").write_text("\n".join(f"{i}\t{n}" for i, n in enumerate(names)))
    return folder


def test_texts_and_labels_in_parallel_files_are_read(load: Any, tmp_path: Path) -> None:
    folder = _parallel(tmp_path / "data")
    report = load(folder)
    assert report.rows_read == {"train": 40, "validation": 10, "test": 10}
    assert set(report.labels) == {row["label"] for row in ROWS}
    first = next(example for example in report.examples if example.split == "train")
    assert (first.text, first.label) == (ROWS[0]["text"], ROWS[0]["label"])
    names = sorted(report.labels)
    (folder / "mapping.txt").write_text("\n".join(names))  # in the order of their numbers
    assert load(folder).labels == report.labels
    (folder / "mapping.txt").write_text("0 a\n2 b\n")
    with pytest.raises(InputError, match="the file does not list label names: '2 b'"):
        load(folder)
    for lines in ("0 a\n" + "1" * 5_000 + " b\n", "0 a\n1" + "\t" * 300_000 + "\n"):
        (folder / "mapping.txt").write_text(lines)
        with pytest.raises(InputError, match="the file does not list label names"):
            load(folder)
    (folder / "mapping.txt").write_text("0 a\n1 b\n2 c\n")
    numbers = (folder / "train_labels.txt").read_text().splitlines()
    (folder / "train_labels.txt").write_text("\n".join(["9" * 5_000, *numbers[1:]]))
    with pytest.raises(InputError, match="1 unknown label: '9999"):
        load(folder)
    (folder / "train_labels.txt").write_text("0\n1\n")
    with pytest.raises(InputError, match="40 lines of texts, but 2 lines of labels"):
        load(folder)


@pytest.mark.real
def test_tweeteval_is_read(shared: Path, load: Any) -> None:
    report = load(shared / "data/tweeteval/emotion")
    assert report.rows_read == {"train": 3257, "validation": 374, "test": 1421}
    assert set(report.labels) == {"anger", "joy", "optimism", "sadness"}


def test_pipes_and_links_upwards_in_a_folder_are_refused(load: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    tiny.write_csv(folder / "train.csv", ROWS)
    os.mkfifo(folder / "more.csv")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        load(folder)
    (folder / "more.csv").unlink()
    for target in ("/", str(tmp_path), str(folder)):
        (folder / "all").symlink_to(target)
        with pytest.raises(InputError, match="the link all points to") as caught:
            load(folder)
        assert re.fullmatch(r"remove the link: rm \S+", caught.value.remedy)
        (folder / "all").unlink()
    assert load(folder).rows_kept["train"]


def test_data_that_would_not_fit_into_memory_is_refused(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(f"c{i}" for i in range(6_000)) + "\n" + ",".join("1" * 6_000) + "\n")
    with pytest.raises(InputError, match="the table has 6,000 columns"):
        load(wide)
    monkeypatch.setattr(text_files, "_LONGEST_LINE", 2_000_000)
    for name in ("long.csv", "long.jsonl", "long.conll", "long.txt"):
        (tmp_path / name).write_text("text\n" + "a " * 3_000_000)
        task = "token-classification" if name == "long.conll" else "text-classification"
        with pytest.raises(InputError, match="a line has more than 2,000,000 characters") as caught:
            open_source(str(tmp_path / name), options=ReadOptions(plain_text="table"))
        assert caught.value.where.endswith(", line 2"), task
