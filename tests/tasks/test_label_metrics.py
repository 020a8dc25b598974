"""The metrics of labels during training equal those of the report."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from kfp_finetune.components.tasks.label_metrics import F1, one_label, several_labels
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    SINGLE_LABEL,
)

NAMES = ["a", "b", "c", "d", "e"]
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(40, 5)).astype(np.float32)
LOGITS[:, 4] = -9  # the last label is never predicted, and no row has it
IDS = RANDOM.integers(0, 4, 40)
MARKS = (RANDOM.random((40, 5)) < [0.6, 0.3, 0.2, 0.1, 0]).astype(np.float32)


def measured(metric: F1, labels: np.ndarray, logits: np.ndarray) -> float:
    """The metric over batches of 8, the last of which is padded with rows of weight 0."""
    update = tf.function(metric.update_state)
    for start in range(0, len(labels), 8):
        rows = slice(start, start + 8)
        update(labels[rows], logits[rows], np.ones(len(labels[rows]), np.float32))
    update(labels[::-1][:8], logits[:8], np.zeros(8, np.float32))
    return float(metric.result())


def test_macro_f1_of_one_label_is_that_of_the_report() -> None:
    found = measured(F1("macro", 5, one_label), IDS, LOGITS)
    report = measure(SINGLE_LABEL, IDS, LOGITS, NAMES, "test")
    assert found == pytest.approx(report.metrics["macro_f1"], rel=1e-6)


def test_f1_of_the_positive_label_is_that_of_the_report() -> None:
    found = measured(F1(0, 2, one_label), IDS % 2, LOGITS[:, :2])
    report = measure(SINGLE_LABEL, IDS % 2, LOGITS[:, :2], NAMES[:2], "test", positive_label="a")
    assert found == pytest.approx(report.metrics["f1"], rel=1e-6)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_f1_of_several_labels_is_that_of_the_report(average: str) -> None:
    found = measured(F1(average, 5, several_labels), MARKS, LOGITS)
    report = measure(MULTI_LABEL, MARKS, LOGITS, NAMES, "test")
    assert found == pytest.approx(report.metrics[f"{average}_f1"], rel=1e-6)


def test_f1_of_words_counts_the_words_that_have_a_tag() -> None:
    metric = F1("macro", 5, one_label)
    weights = np.ones(40, np.float32)
    weights[::3] = 0
    metric.update_state(IDS.reshape(8, 5), LOGITS.reshape(8, 5, 5), weights.reshape(8, 5))
    counted = weights > 0
    expected = f1_score(IDS[counted], LOGITS[counted].argmax(axis=1), average="macro")
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
