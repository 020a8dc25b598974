"""Answers in bfloat16 are within a hundredth of float32's, or float32 is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from kfp_finetune.components.finetune.forward import FEWEST_ROWS, Forward
from kfp_finetune.components.finetune.precision import by_flags
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.loading import load_classifier
from kfp_finetune.components.runtime import processor
from tests.checkpoints import LABELS, write_checkpoint

IDS = np.random.default_rng(0).integers(4, 40, (64, 12)).astype(np.int32)
BATCH = {"input_ids": tf.constant(IDS), "attention_mask": tf.ones_like(IDS)}


@pytest.fixture
def model(tmp_path: Path) -> Classifier:
    return load_classifier(
        write_checkpoint(tmp_path, "bert"),
        num_labels=3,
        label_names=LABELS,
        problem_type="single_label_classification",
        seed=1,
    )


def exact(model: Classifier) -> np.ndarray:
    return Forward(model, "float32")(BATCH)


def chosen(model: Classifier, rows: int, **settings: Any) -> Forward:
    forward = Forward(model, **settings)
    forward.choose(rows, lambda _: BATCH)
    return forward


def test_many_rows_are_answered_in_bfloat16_where_the_answers_agree(model: Classifier) -> None:
    forward = chosen(model, FEWEST_ROWS, precision="bfloat16")
    assert forward.precision == "bfloat16"
    np.testing.assert_allclose(
        softmax(forward(BATCH), -1), softmax(exact(model), -1), rtol=0, atol=1e-2
    )


def test_auto_asks_the_processor(model: Classifier) -> None:
    forward = chosen(model, FEWEST_ROWS, precision="auto")
    assert forward.precision == (by_flags(processor()) or "float32")


@pytest.mark.parametrize(("rows", "precision"), [(FEWEST_ROWS - 1, "bfloat16"), (10**6, "float32")])
def test_few_rows_and_float32_are_exact(model: Classifier, rows: int, precision: str) -> None:
    forward = chosen(model, rows, precision=precision)
    assert forward.precision == "float32"
    np.testing.assert_array_equal(forward(BATCH), exact(model))


def test_a_model_whose_answers_would_change_stays_in_float32(model: Classifier) -> None:
    model.head.logits.kernel.assign(model.head.logits.kernel * 3e4)
    forward = chosen(model, FEWEST_ROWS, precision="bfloat16")
    np.testing.assert_allclose(
        softmax(forward(BATCH), -1), softmax(exact(model), -1), rtol=0, atol=1e-2
    )


def test_training_afterwards_computes_as_before(model: Classifier) -> None:
    before = tf.config.optimizer.get_experimental_options()
    chosen(model, FEWEST_ROWS, precision="bfloat16")(BATCH)
    assert tf.config.optimizer.get_experimental_options() == before
