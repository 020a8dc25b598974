"""`kfp-finetune predict`: texts from everywhere, and the messages where they are wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.cli.local import prediction as command
from kfp_finetune.components.errors import InputError
from tests import tiny
from tests.checkpoints import LABELS
from tests.trained import write_trained

COMMAND = Path(sys.executable).with_name("kfp-finetune")
TEXTS = [row["text"] for row in tiny.rows(12, seed=5)]


@pytest.fixture
def work(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, one for pairs, and texts in files."""
    write_trained(tmp_path / "model", tiny_model)
    write_trained(tmp_path / "pairs", tiny_model, text_pair_column="other")
    (tmp_path / "rows.txt").write_text("".join(text + "\n" for text in TEXTS))
    tiny.write_csv(tmp_path / "two.csv", [{"a": t, "b": t, "c": t} for t in TEXTS])
    (tmp_path / "gap.csv").write_text("text,label\ngood,a\n,b\n")
    (tmp_path / "gap.txt").write_text("good\n\nbad\n")
    (tmp_path / "pairs.txt").write_text("good parcel\tbad card\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(model: str, *texts: str, **options: Any) -> None:
    names = [field.name for field in fields(command.Output)]
    output = command.Output(**{name: options.pop(name) for name in names if name in options})
    runs_dir, file = options.pop("runs_dir", Path("runs")), options.pop("file", None)
    command.predict_texts(model, texts, options, runs_dir=runs_dir, file=file, output=output)


def answers(capsys: pytest.CaptureFixture[str], model: str, **options: Any) -> list[Any]:
    predict(model, **options)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_for_every_text_wherever_they_come_from(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO("\n".join(TEXTS).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    expected = answers(capsys, "model", file="-", batch_size=5)
    assert [answer.pop("row") for answer in expected] == list(range(1, len(TEXTS) + 1))
    assert [answer.pop("text") for answer in expected] == TEXTS
    assert all(answer["label"] in LABELS for answer in expected)
    assert all(0 < answer["probability"] <= 1 for answer in expected)
    given: dict[str, Any] = {"file": "two.csv", "text_column": "b", "batch_size": 5}
    again = answers(capsys, "model", **given, with_texts=False)
    assert again == [{"row": i} | answer for i, answer in enumerate(expected, start=1)]


def test_answers_before_a_bad_row_are_not_lost_and_others_can_go_on(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "gap.csv").write_text("text,label\ngood,a\n,b\nbad,c\n")
    for name in ("gap.csv", "gap.txt"):
        with pytest.raises(InputError) as caught:
            predict("model", file=name)
        assert [json.loads(line)["row"] for line in capsys.readouterr().out.splitlines()] == [1]
        assert "--on-bad-row drop" in caught.value.remedy
        predict("model", file=name, on_bad_row="drop")
        said = capsys.readouterr()
        rows = [json.loads(line) for line in said.out.splitlines()]
        assert [(row["row"], row["text"]) for row in rows] == [(1, "good"), (3, "bad")]
        assert said.err.startswith("1 row omitted: 2 (")


def test_more_than_the_most_probable_label(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = answers(capsys, "model", file="rows.txt", top_k=2)[0]
    assert list(first) == ["row", "text", "label", "probability", "probabilities"]
    assert len(first["probabilities"]) == 2
    assert next(iter(first["probabilities"].items())) == (first["label"], first["probability"])


def test_texts_of_the_command_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict("model", "good\x1b[31m parcel", top_k=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "good [31m parcel"
    assert {line.split()[1] for line in lines[1:]} == set(LABELS)
    predict("pairs", "good parcel", "bad card")
    assert capsys.readouterr().out.splitlines()[:2] == ["good parcel", "bad card"]


def test_pairs_of_a_file(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"text_column": "a", "text_pair_column": "b"}
    assert len(answers(capsys, "pairs", file="two.csv", **columns)) == len(TEXTS)


WRONG = {
    "nothing": (("model",), {}, "there is nothing to predict for"),
    "both": (("model", "good"), {"file": "rows.txt"}, "both texts and a file are given"),
    "no model": (("gone", "good"), {}, "there is no run 'gone'"),
    "no file": (("model",), {"file": "gone.csv"}, "there is no file"),
    "no text file": (("model",), {"file": "gone.txt"}, "there is no file"),
    "no column": (("model",), {"file": "two.csv"}, "there is no column 'text'"),
    "a gap": (("model",), {"file": "gap.csv"}, "no text in column 'text'"),
    "a blank line": (("model",), {"file": "gap.txt"}, "the line is blank"),
    "an empty text": (("model", ""), {}, "there is no text"),
    "a column of nothing": (("model", "good"), {"text_column": "text"}, "there is no file"),
    "a second column": (
        ("model",),
        {"file": "two.csv", "text_pair_column": "b"},
        "the model reads one text",
    ),
    "half a pair": (("pairs", "good"), {}, "the second text of the last pair is missing"),
    "one text a line": (("pairs",), {"file": "rows.txt"}, "the line has only one text: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input(case: str, work: Path) -> None:
    given, options, found = WRONG[case]
    with pytest.raises(InputError) as caught:
        predict(*given, **options)
    assert found in caught.value.found
    assert caught.value.where and caught.value.expected and caught.value.remedy


@pytest.mark.parametrize("file", ["none.csv", ""])
def test_a_wrong_file_is_reported_under_the_name_of_its_option(file: str, work: Path) -> None:
    with pytest.raises(InputError) as caught:
        predict("model", file=file)
    assert caught.value.where == "--file"
    assert "dataset" not in caught.value.remedy


def test_the_command(work: Path) -> None:
    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [COMMAND, "predict", *arguments], input=stdin, capture_output=True, check=False
        )

    done = run("model", "--file", "-", "--top-k", "3", stdin="gut für Ärger\nbad\n".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert [len(json.loads(line)["probabilities"]) for line in done.stdout.splitlines()] == [3, 3]
    wrong = run("model", "--file", "-", stdin=b"good\nb\xffd\n")
    assert wrong.returncode == 2
    assert wrong.stderr.decode() == (
        "error: not UTF-8: byte 0xff, invalid start byte\n"
        "  where:    standard input, byte 6, line 2\n"
        "  expected: text encoded as UTF-8\n"
        "  remedy:   give the file's encoding, e.g. --encoding cp1252 or --encoding latin-1, or"
        " convert it to UTF-8\n"
    )
