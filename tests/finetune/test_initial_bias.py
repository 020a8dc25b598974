"""The loss that training begins with: a new head answers with the frequencies of the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from kfp_finetune.components.artifacts import optimizer_config as optimizer_artifact
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.finetune.learner import Learner, build, plan_run
from kfp_finetune.components.finetune.logits import predict
from kfp_finetune.components.finetune.parameters import Parameters
from kfp_finetune.components.finetune.training_log import hyperparameters
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.registry import task_of
from tests import tiny
from tests.finetune.runs import Run

# Rows of each label are 1 : 9, and numbers are far from 0.
LABELS: dict[str, Any] = {
    "single_label_classification": ["late"] * 9 + ["early"],
    "multi_label_classification": ["late"] * 8 + ["late|early", "early"],
    "regression": [96.0, 97.0, 98.0, 99.0, 100.0, 101.0, 102.0, 103.0, 104.0, 100.5],
}
KINDS = [*LABELS, "entity_recognition"]


def load(problem_type: str, model: Path, folder: Path) -> Path:
    """Tokenize 60 rows of a problem type."""
    if problem_type == "entity_recognition":
        path = tiny.write_conll(folder / "train.conll", tiny.sentences(60))
        given = {"task": "token-classification"}
    else:
        labels = LABELS[problem_type] * 6
        rows = [dict(row, label=labels[i]) for i, row in enumerate(tiny.rows(60))]
        path = tiny.write_csv(folder / "train.csv", rows)
        given = {"problem_type": problem_type}
    return tiny.tokenize(folder, dataset=str(path), model=str(model), max_length=16, **given)


def begin(data: Path, model: Path, folder: Path, **parameters: Any) -> Learner:
    """A compiled model that has made no step."""
    optimizer_artifact.write(folder / "optimizer", build_optimizer_config(3, learning_rate=1e-3))
    given = Parameters(base_model=str(model), max_steps=3, **parameters)
    return build(plan_run(given, str(data), str(folder / "optimizer")))


def first_loss(learner: Learner, problem_type: str) -> float:
    """The loss of the training split."""
    logits = predict(learner.trainer.network, learner.train, lambda done: None, 32)
    return float(task_of(problem_type).loss(problem_type)(learner.train.labels, logits))


@pytest.mark.parametrize("problem_type", KINDS)
def test_training_begins_at_the_loss_of_the_best_constant_answer(
    problem_type: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = load(problem_type, tiny_model, tmp_path)
    learner = begin(data, tiny_model, tmp_path)
    names, plain = learner.trainer.network.label_names, LossParameters()
    constant = task_of(problem_type).constant_loss(problem_type, plain, learner.train.labels, names)
    assert first_loss(learner, problem_type) == pytest.approx(constant, rel=0.1)
    zeros = begin(data, tiny_model, tmp_path, initial_bias="zeros")
    assert first_loss(zeros, problem_type) > 1.3 * constant
    assert not np.any(zeros.trainer.network.head.logits.bias)


def test_weights_of_classes_count(tiny_model: Path, tmp_path: Path) -> None:
    """With balanced weights, a head that answers nothing in particular is the best constant one."""
    data = load("single_label_classification", tiny_model, tmp_path)
    learner = begin(data, tiny_model, tmp_path, class_weights="balanced")
    np.testing.assert_allclose(learner.trainer.network.head.logits.bias, [0, 0], atol=1e-6)


def test_a_head_that_was_trained_for_these_labels_keeps_its_bias(
    tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    trained = Run(tmp_path, tiny_data, tiny_model)
    trained(checkpoint_dir=None)
    bias = load_file(tmp_path / "model" / "model.safetensors")["classifier.bias"]
    learner = begin(tiny_data, tmp_path / "model", tmp_path / "again")
    np.testing.assert_array_equal(learner.trainer.network.head.logits.bias, bias)


def test_a_start_from_zeros_is_in_tensorboards_table(tiny_model: Path, tmp_path: Path) -> None:
    data = load("single_label_classification", tiny_model, tmp_path)
    optimizer_artifact.write(tmp_path / "optimizer", build_optimizer_config(3))

    def shown(**given: Any) -> Any:
        parameters = Parameters(base_model=str(tiny_model), max_steps=3, **given)
        run = plan_run(parameters, str(data), str(tmp_path / "optimizer"))
        table = hyperparameters(run.optimizer, run.plan, run.settings, "model", "data")
        return table.get("initial_bias")

    assert shown(initial_bias="zeros") == "zeros"
    assert shown() is None
