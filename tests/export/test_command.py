"""The real commands in sequence: train, export, predict, fine-tune the result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests import tiny
from tests.commands import call


@pytest.mark.slow
def test_a_model_is_exported_and_fine_tuned_again(tmp_path: Path) -> None:
    tiny.write_model(tmp_path / "base")
    tiny.write_csv(tmp_path / "train.csv", tiny.rows(120))
    data = ["--dataset", "train.csv", "--max-length", "16", "--batch-size", "8"]
    first = call(
        tmp_path, "run", *data, "--model", "base", "--name", "first", "--learning-rate", "1e-2"
    )
    assert first.returncode == 0, first.stderr
    model = tmp_path / "runs" / "first" / "steps" / "finetune" / "model"
    assert json.loads((model / "manifest.json").read_text())["weights_format"] == "pt"

    done = call(tmp_path, "export", "first", "-o", "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote out; read back, its logits differ by 0\n"
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert weights == (model / "model.safetensors").read_bytes()
    card = ModelCard.load(tmp_path / "out" / "README.md")
    metrics = json.loads((tmp_path / "runs" / "first" / "run.json").read_text())["metrics"]
    accuracy = next(r for r in card.data.eval_results if r.metric_name == "accuracy")
    assert accuracy.metric_value == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert "| delivery | 32 | 4 | 4 |" in card.text
    again = call(tmp_path, "export", "first", "-o", "out")
    assert again.returncode == 2 and "the folder is not empty" in again.stderr

    second = call(
        tmp_path, "run", *data, "--model", "first", "--name", "second", "--max-steps", "1"
    )
    assert second.returncode == 0, second.stderr
    assert "fresh, drawn" in first.stdout and "fresh, drawn" not in second.stdout
    record = json.loads((tmp_path / "runs" / "second" / "run.json").read_text())
    assert record["parameters"]["model"] == str(model)

    shutil.move(tmp_path / "runs" / "second", tmp_path / "moved")
    said = call(tmp_path, "predict", "moved", "parcel late")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("parcel late\n")
    (model / "model.safetensors").write_bytes(weights[:-100])
    damaged = call(tmp_path, "export", "first", "-o", "other")
    assert damaged.returncode == 2 and "the file is damaged" in damaged.stderr
    assert not (tmp_path / "other").exists()
