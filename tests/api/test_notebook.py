"""The notebook's cells do what its text promises, and leave the process as it was."""

from __future__ import annotations

import ast
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kfp_finetune import InputError, load_run
from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.runs.folder import RunFolder
from tests.api.conftest import Executed

pytestmark = pytest.mark.slow  # starts a kernel, and trains in it


def test_the_process_is_left_as_it_was(notebook: Executed) -> None:
    assert notebook.after == notebook.before


def test_progress_is_shown_as_a_table(notebook: Executed) -> None:
    table = notebook.shown(0, "html")
    for step in ("load_data", "count_steps", "build_optimizer", "finetune", "evaluate"):
        assert "✓</td>" in table and f"<b>{step}</b>" in table
    run = RunFolder.open(notebook.folder / "runs" / "first-steps")
    assert f"run first-steps {run.outcome}" in table and "<progress" not in table
    assert notebook.shown(0, "printed") == ""


def test_a_run_is_shown_with_its_verdict_and_curves(notebook: Executed) -> None:
    frame = notebook.shown(1, "html")
    assert frame.startswith("<iframe srcdoc=")
    page = html.unescape(frame)
    for part in ("first-steps", "Accuracy", "Learning rate applied", "Loss", "<svg"):
        assert part in page, part
    assert "src=" not in page.replace("srcdoc=", "") and "url(" not in page


def test_the_picture_of_a_run_in_a_browser(notebook: Executed, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    page = tmp_path / "cell.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><body>{notebook.shown(1, "html")}')
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120)
    # The frame has become as high as its page: the curves stand below the metrics.
    height = re.search(r'style="width: ?100%; ?height: ?(\d+)px', done.stdout)
    assert height is not None and 950 < int(height[1]) < 2000


def test_the_table_has_intervals(notebook: Executed) -> None:
    table = notebook.shown(2, "html")
    for column in ("value", "low", "high", "baseline", "accuracy"):
        assert column in table


def test_predictions_are_labels_with_probabilities(notebook: Executed) -> None:
    predicted = ast.literal_eval(notebook.shown(3, "plain"))
    assert len(predicted) == 2 and all(isinstance(label, str) for label, _ in predicted)
    assert all(1 / 7 <= probability <= 1 for _, probability in predicted)


def test_errors_name_arguments(notebook: Executed) -> None:
    assert "batch_size is 0" in notebook.shown(5, "printed")
    assert "remedy:   batch_size=32" in notebook.shown(5, "printed")


def test_a_loaded_run_equals_its_folder(notebook: Executed) -> None:
    run = load_run("first-steps", runs_dir=notebook.folder / "runs")
    assert load_run(run.folder) == run
    record = json.loads((run.folder / "run.json").read_text())
    assert run.status == "succeeded" and run.metrics == record["metrics"]
    assert run.parameters == record["parameters"] and run.parameters["num_train_epochs"] == 1
    assert run.model is not None and run.report is not None and run.log.is_file()
    rates = [entry["learning_rate"] for entry in run.history() if "learning_rate" in entry]
    assert len(rates) == run.num_train_steps == 46


def test_a_frame_has_the_metrics_of_the_file(notebook: Executed) -> None:
    run = load_run("first-steps", runs_dir=notebook.folder / "runs")
    measured = metrics_artifact.read(run.folder / run.artifacts["metrics_json"])
    frame = run.frame()
    assert dict(frame["value"]) == run.metrics
    assert tuple(frame.loc["accuracy", ["low", "high"]]) == tuple(measured.intervals["accuracy"])


def test_an_evaluation_is_written_beside_the_run(notebook: Executed) -> None:
    (folder,) = (notebook.folder / "runs").glob("first-steps-on-messages-*")
    measured = metrics_artifact.read(folder / "metrics.json")
    assert measured.num_examples == 1816
    assert (
        "1,816" in html.unescape(notebook.shown(4, "html")) and (folder / "report.html").is_file()
    )


def test_a_succeeded_run_is_not_resumed(notebook: Executed) -> None:
    run = load_run("first-steps", runs_dir=notebook.folder / "runs")
    with pytest.raises(InputError) as error:
        run.resume(progress=False)
    assert error.value.found == "run 'first-steps' has succeeded"


def test_no_library_warns(notebook: Executed) -> None:
    """Such as tqdm, which misses ipywidgets."""
    errors = [
        output["text"]
        for outputs in notebook.outputs
        for output in outputs
        if output["output_type"] == "stream" and output["name"] == "stderr"
    ]
    assert errors == []
