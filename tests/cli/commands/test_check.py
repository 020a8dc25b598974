"""`kfp-finetune check`, as a process of its own, on a tiny model."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.progress.lines import Pace, rate_text
from tests import tiny

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
FORMULA = '=HYPERLINK("http://example.com","card")'
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def check(folder: Path, *arguments: str) -> tuple[int, str, str]:
    if "--max-length" not in arguments:
        arguments = (*arguments, "--max-length", "16")  # the tiny model takes 40
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "kfp_finetune.cli.main", "check", *arguments],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert not list(temporary.iterdir())
    temporary.rmdir()
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny.write_csv(tmp_path / "data.csv", tiny.rows(103))


def as_json(folder: Path, *arguments: str) -> dict[str, Any]:
    code, out, err = check(folder, *arguments, "--json")
    assert (code, err) == (0, "")
    report: dict[str, Any] = json.loads(out)
    return report


def test_the_report_for_people(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    code, out, err = check(
        tmp_path, "data.csv", "--model", str(tiny_model), "--max-length", "8", "--batch-size", "10"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == str(data)
    assert "  problem type  single_label_classification" in lines
    assert "  train               83          83           0" in lines
    assert any(line.startswith("3 labels; the most frequent is 1.") for line in lines)
    assert "  - using column 'label' as label: the only one with a usual name" in lines
    assert any(line.endswith(" truncates fewer than 1 % of them") for line in lines)
    assert lines[-2:] == [
        "plan: 83 examples ÷ 10 = 9 steps × 20 epochs = 180 steps (last batch 3)",
        "save this report as a page, with every label: -o FILE.html",
    ]
    assert "KFP_FINETUNE" not in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv"]


def test_json_is_one_object_and_nothing_else(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    rows = [*tiny.rows(103), {"text": " ", "label": "payment"}]
    tiny.write_csv(data, rows)
    report = as_json(
        tmp_path, "data.csv", "--model", str(tiny_model), "--on-bad-row", "drop", "--max-steps", "5"
    )
    assert sum(report["rows_read"].values()) == 104
    assert sum(report["rows_kept"].values()) == 103
    dropped = {r: n for split in report["rows_dropped"].values() for r, n in split.items()}
    assert dropped == {"no text in column 'text'": 1}
    assert report["columns"] == {"text": "text", "label": "label"}
    assert {name: sum(counts.values()) for name, counts in report["labels"].items()} == {
        "delivery": 35,
        "payment": 34,
        "returns": 34,
    }
    assert (report["steps_per_epoch"], report["num_train_steps"]) == (3, 5)
    assert report["unknown_token_share"] == 0
    assert set(report["length_percentiles"]) == {"50", "90", "95", "99", "100"}


def test_many_labels_show_their_ends(tiny_model: Path, tmp_path: Path) -> None:
    rows = [
        {"text": f"card {i}", "label": f"label{i % 20:02}"} for i in range(400) if i % 20 or i % 40
    ]
    tiny.write_csv(tmp_path / "data.csv", rows)
    code, out, _ = check(tmp_path, "data.csv", "--model", str(tiny_model))
    assert code == 0
    assert "20 labels; the most frequent is 2.0 times the rarest" in out
    assert "10 more labels" in out
    assert "label01" in out and "label00" in out and "label10" not in out.split("examples")[0]


def test_texts_and_labels_are_inert_everywhere(tiny_model: Path, tmp_path: Path) -> None:
    rows = [
        {"text": f"{text} {i}", "label": label}
        for i in range(30)
        for text, label in ((f"[red]card[/] {ESCAPES}", HTML), (FORMULA, f"bad{ESCAPES}"))
    ]
    tiny.write_csv(tmp_path / "data.csv", rows)
    arguments = ["data.csv", "--model", str(tiny_model), "-o", "report.html"]
    code, out, err = check(tmp_path, *arguments)
    assert (code, err) == (0, "")
    assert not set("\x1b\x07\x9b\u202e") & set(out)
    assert "[red]card[/]" in out
    assert "report: report.html" in out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img" not in page and "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert " steps (last batch " in page

    code, out, _ = check(tmp_path, *arguments, "--json")
    assert code == 0
    assert out.isascii() and not set("\x1b\x07") & set(out)
    assert HTML in json.loads(out)["labels"]


def test_a_runs_config_is_a_checks_config(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(
        f"dataset: data.csv\nmodel: {tiny_model}\nnum_train_epochs: 3\nbatch_size: 50\n"
    )
    assert as_json(tmp_path, "--config", "run.yaml")["num_train_steps"] == 6
    assert as_json(tmp_path, "--config", "run.yaml", "--batch-size", "83")["num_train_steps"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.csv"], "error: no model is given\n  where:    --model\n"
         "  expected: a folder or a Hub id, whose tokenizer measures the lengths of the texts\n"
         "  remedy:   add --model MODEL\n"),
        (["gone.csv", "--model", "{model}"], "error: "),
        (["data.csv", "--dataset", "data.csv"], "error: the dataset is given twice\n"),
        (["data.csv", "--model", "{model}", "--batch-size", "0"], "error: batch_size is 0\n"),
        (["data.csv", "--model", "{model}", "--text-column", "txt"],
         "error: there is no column 'txt'\n"),
        (["data.csv", "--model", "{model}", "-o", "gone/report.html"],
         "error: the report cannot be written: its folder does not exist\n"),
        (["data.csv", "--model", "{model}", "-o", "."],
         "error: the report cannot be written: it is a folder\n"),
        (["data.csv", "--model", "{model}", "--text-column", "t\x1b[2J"],
         "error: there is no column 't [2J'\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_wrong_input(
    arguments: list[str],
    message: str,
    form: list[str],
    data: Path,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    given = [argument.format(model=tiny_model) for argument in arguments]
    code, out, err = check(tmp_path, *given, *form)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("error:") == 1 and "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv"]


def test_an_error_that_nobody_foresaw_names_its_log(
    data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    broken = (
        "from kfp_finetune.components.load_data import dataset\n"
        "def load_data(*_): raise ValueError('made of cheese')\n"
        "dataset.load_data = load_data\n"
        "from kfp_finetune.cli.main import main\n"
        "main()\n"
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", broken, "check", str(data), "--model", str(tiny_model)],
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
    )
    (log,) = temporary.iterdir()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: made of cheese\nlog: {log}\n"
    assert "ValueError: made of cheese" in log.read_text() and "Traceback" in log.read_text()


def test_options_that_mean_nothing_here_are_unknown(tmp_path: Path) -> None:
    assert check(tmp_path, "data.csv", "--learning-rate", "1")[0] == 2


def test_a_terminal_shows_progress_and_standard_output_does_not(
    data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    ours, theirs = os.openpty()
    shown: list[bytes] = []

    def read() -> None:  # all the time: a terminal that nobody reads holds 4 KB, and then blocks
        with contextlib.suppress(OSError):  # how a terminal ends
            while part := os.read(ours, 1 << 16):
                shown.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "kfp_finetune.cli.main",
            "check",
            "data.csv",
            "--json",
            *f"--model {tiny_model} --max-length 16".split(),
        ],
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "140"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=120,
    )
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert done.returncode == 0
    assert json.loads(done.stdout)["rows_read"]["train"] == 83
    assert "103/103 rows" in b"".join(shown).decode()


def test_a_pace_starts_again_with_a_new_count() -> None:
    pace = Pace()
    assert pace.rate(0, 10.0) == 0
    assert pace.rate(500, 12.0) == 250
    assert pace.rate(100, 13.0) == 0
    assert pace.rate(2100, 15.0) == 1000
    assert rate_text(12345.6, "rows") == "12,346 rows/s"
    assert rate_text(0.523, "steps") == "0.52 steps/s"
