"""Words with tags from the command line: the same steps as of texts, to the same ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from tests import tiny
from tests.commands import call, call_here

RUN = ["--model", "model", "--max-length", "16", "--learning-rate", "5e-3", "--seed", "1"]
BEST = ["--load-best-model-at-end", "--metric-for-best-model", "macro_f1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run named ner on 200 sentences, some of them longer than an example."""
    folder = tmp_path_factory.mktemp("words")
    tiny.write_model(folder / "model")
    tiny.write_conll(folder / "train.conll", tiny.sentences(200))
    tiny.write_conll(folder / "other.conll", tiny.sentences(40, seed=9))
    arguments = ["--dataset", "train.conll", *RUN, "--num-train-epochs", "8", "--name", "ner"]
    done = call(folder, "run", *arguments, "--checkpoint-every-steps", "10", *BEST)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_run_learns_entities(folder: Path) -> None:
    record = json.loads((folder / "runs/ner/run.json").read_text())
    # Nobody said what the task is: a .conll file leaves no doubt.
    assert record["parameters"]["task"] == "token-classification"
    assert record["metrics"]["f1"] > 0.95
    model = model_artifact.read(folder / "runs/ner" / record["artifacts"]["model"])
    log = list(model_artifact.read_training_log(folder / "runs/ner" / record["artifacts"]["model"]))
    rates = [r["learning_rate"] for r in log if "learning_rate" in r]
    expected = 5e-3 * (1 - np.arange(model.num_train_steps) / model.num_train_steps)
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    assert {"loss", "f1", "accuracy", "macro_f1"} == set(model.validation_metrics)
    checks = {r["step"]: r["validation"]["macro_f1"] for r in log if "validation" in r}
    assert model.best_step == min(step for step, f1 in checks.items() if f1 == max(checks.values()))
    assert model.validation_metrics["macro_f1"] == max(checks.values())
    found = metrics_artifact.read(folder / "runs/ner" / record["artifacts"]["metrics_json"])
    assert [scores.label for scores in found.per_class] == ["payment", "place"]
    assert "Entity outcomes" in (folder / "runs/ner/report.html").read_text()


def test_predictions_stand_where_they_are_in_the_text(folder: Path) -> None:
    text = "Late,  money   back; the\tshop"
    done = call_here(folder, "predict", "ner", text)
    assert done.returncode == 0, done.stderr
    assert "payment" in done.stdout and "place" in done.stdout
    (folder / "texts.txt").write_text(text + "\ngood parcel\n")
    done = call_here(folder, "predict", "ner", "--file", "texts.txt")
    first, second = map(json.loads, done.stdout.splitlines())
    for entity in first["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert 0 < entity["probability"] <= 1
    # Predictions for unseen signs and words are not checked.
    found = {(e["label"], e["text"]) for e in first["entities"]}
    assert found >= {("payment", "money   back"), ("place", "shop")}
    assert second == {"row": 2, "text": "good parcel", "entities": []}
    done = call_here(folder, "predict", "ner", "--file", "other.conll")
    assert len(done.stdout.splitlines()) == 40
    done = call_here(folder, "predict", "ner", "--top-k", "2", "a")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: the model predicts tags of words",
    )


def test_other_data_is_scored(folder: Path) -> None:
    done = call(folder, "evaluate", "ner", "--dataset", "other.conll", "-o", "scored")
    assert done.returncode == 0, done.stderr
    found = metrics_artifact.read(folder / "scored/metrics.json")
    assert found.num_examples == 40 and found.metrics["f1"] > 0.95
    # The training data is unknown here.
    assert "unseen_recall" not in found.metrics


def test_a_dataset_is_checked(folder: Path) -> None:
    done = call_here(
        folder, "check", "train.conll", "--model", "model", "--max-length", "16", "--json"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["problem_type"] == "entity_recognition" and report["unit"] == "words"
    run = json.loads((folder / "runs/ner/run.json").read_text())
    assert report["steps_per_epoch"] == run["outputs"]["steps_per_epoch"]
    text = ["--task", "text-classification", "--text-column", "tokens", "--label-column", "tags"]
    wrong = call_here(
        folder, "check", "train.conll", "--model", "model", "--max-length", "16", *text
    )
    assert wrong.returncode == 2
    assert "remedy:   if every word has a label: --task token-classification" in wrong.stderr


@pytest.mark.slow
def test_all_pieces_of_a_word_may_be_trained(folder: Path) -> None:
    arguments = ["--dataset", "train.conll", *RUN, "--num-train-epochs", "8"]
    done = call(folder, "run", *arguments, "--label-all-tokens", "--name", "all")
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "runs/all/run.json").read_text())
    assert record["metrics"]["f1"] > 0.95
    assert record["steps"]["load_data"]["cached"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pt", "savedmodel", "onnx"])
def test_a_model_is_exported(folder: Path, form: str) -> None:
    done = call_here(folder, "export", "ner", "-o", form, "--format", form)
    assert done.returncode == 0, done.stderr
    card = (folder / form / "README.md").read_text()
    assert "finds entities in a text" in card and "token-classification" in card
