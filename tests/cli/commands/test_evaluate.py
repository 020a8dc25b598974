"""Scoring a trained model on other data from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.local.evaluation import evaluate_model
from kfp_finetune.runs.folder import RunFolder, RunRecord
from tests import tiny
from tests.finetune.runs import Run


@pytest.fixture(scope="module")
def runs(tiny_data: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one in it, whose model is trained."""
    folder = tmp_path_factory.mktemp("evaluate")
    Run(folder, tiny_data, tiny_model, learning_rate=1e-2)()
    path = folder / "runs" / "trained"
    path.mkdir(parents=True)
    shutil.copytree(folder / "model", path / "model")
    record = RunRecord(
        name="trained",
        pipeline="finetune",
        status="succeeded",
        parameters={"text_column": "text", "label_column": None},
        artifacts={"model": "model"},
    )
    RunFolder(path, record).save()
    return folder / "runs"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{**row, "channel": ("mail", "chat")[i % 2]} for i, row in enumerate(tiny.rows(40, 5))]
    return tiny.write_csv(tmp_path / "new.csv", rows)


def evaluate(name: str, runs: Path, output: Path | None = None, **flags: Any) -> None:
    evaluate_model(name, flags, split=None, runs_dir=runs, output=output)


def test_a_run_is_scored_and_nothing_of_it_changes(runs: Path, data: Path, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (runs / "trained").rglob("*")}
    command = [sys.executable, "-m", "kfp_finetune.cli.main", "evaluate", "trained"]
    command += ["--dataset", data.name, "--runs-dir", str(runs), "--slice-columns", "channel"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = runs.glob("trained-on-new-*")
    found = metrics_artifact.read(folder / "metrics.json")
    assert sorted(p.name for p in folder.iterdir()) == ["metrics.json", "report.html"]
    assert found.num_examples == 40
    low, high = found.intervals["accuracy"]
    assert f"accuracy  {found.metrics['accuracy']:.4f} (95 %: {low:.4f} to {high:.4f})" in (
        done.stdout
    )
    assert str(folder / "report.html") in done.stdout
    assert {part.by for part in found.slices} == {"tokens", "label", "channel"}
    assert {p: p.stat().st_mtime_ns for p in (runs / "trained").rglob("*")} == before
    shutil.rmtree(folder)


def test_a_model_by_its_folder_is_scored_the_same(
    runs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("trained", runs, tmp_path / "one", dataset=str(data))
    evaluate(str(runs / "trained" / "model"), runs, tmp_path / "two", dataset=str(data))
    one, two = (json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("one", "two"))
    assert one == two
    assert "examples" in capsys.readouterr().out


def test_texts_can_be_left_out(runs: Path, data: Path, tmp_path: Path) -> None:
    evaluate("trained", runs, tmp_path, dataset=str(data), texts_in_report=False)
    text = data.read_text().splitlines()[1].split(",")[0]
    for name in ("metrics.json", "report.html"):
        assert text not in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("content", "flags", "found", "where"),
    [
        ("text,label\n", {}, "no rows", "new.csv"),
        ("text,label\ncard,unheard\n", {}, "1 unknown label: 'unheard'", "row 1"),
        ("message,label\ncard,payment\n", {}, "there is no column 'text'", "text_column"),
        (
            "text,label\ncard,payment\n",
            {"slice_columns": "channel"},
            "there is no column 'channel'",
            "slice_columns",
        ),
    ],
)
def test_wrong_data(
    runs: Path, data: Path, content: str, flags: dict[str, Any], found: str, where: str
) -> None:
    data.write_text(content)
    with pytest.raises(InputError) as caught:
        evaluate("trained", runs, dataset=str(data), **flags)
    assert found in caught.value.found
    assert where in caught.value.where
    assert [p.name for p in runs.iterdir()] == ["trained"]


def test_what_is_no_model(runs: Path, data: Path, tmp_path: Path) -> None:
    for name, found in (("nothing", "there is no run 'nothing'"), (str(tmp_path), "not a model")):
        with pytest.raises(InputError, match=found):
            evaluate(name, runs, dataset=str(data))
    with pytest.raises(InputError, match="no dataset is given"):
        evaluate("trained", runs)
    folder = runs / "empty"
    folder.mkdir()
    record = RunRecord(name="empty", pipeline="finetune", status="failed", parameters={})
    RunFolder(folder, record).save()
    with pytest.raises(InputError, match="run 'empty' has no model"):
        evaluate("empty", runs, dataset=str(data))
    shutil.rmtree(folder)


def test_truncated_weights(runs: Path, data: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(runs / "trained" / "model", model)
    (weights,) = model.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError) as caught:
        evaluate(str(model), runs, dataset=str(data))
    assert weights.name in caught.value.found + caught.value.where
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "new.csv"]


def test_an_output_that_cannot_be_written(runs: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the output cannot be written: it is a file"):
        evaluate("trained", runs, tmp_path / "file" / "deeper", dataset=str(data))
