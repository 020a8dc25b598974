from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.evaluate.metrics import classification_metrics

# (seed, number of labels, number of examples)
SHAPES = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 200), st.integers(1, 300))


def measure(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, Metrics]:
    seed, num_labels, count = shape
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_labels, count)
    logits = random.normal(scale=3, size=(count, num_labels)).astype(np.float32)
    names = [f"label {i}" for i in range(num_labels)]
    return labels, logits, classification_metrics(labels, logits, names, "test")


@settings(max_examples=30, deadline=None)
@given(SHAPES)
def test_the_confusion_matrix_agrees_with_support_accuracy_and_per_class_scores(
    shape: tuple[int, int, int],
) -> None:
    labels, _, found = measure(shape)
    matrix = np.array(found.confusion_matrix)
    right, support, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    assert matrix.sum() == found.num_examples == len(labels)
    assert support.tolist() == [row.support for row in found.per_class]
    assert support.tolist() == np.bincount(labels, minlength=shape[1]).tolist()
    assert found.metrics["accuracy"] == pytest.approx(matrix.trace() / matrix.sum())
    for i, row in enumerate(found.per_class):
        assert row.label == found.label_names[i]
        assert row.precision == pytest.approx(right[i] / max(predicted[i], 1))
        assert row.recall == pytest.approx(right[i] / max(support[i], 1))
        assert row.f1 == pytest.approx(2 * right[i] / max(support[i] + predicted[i], 1))
    f1 = np.array([row.f1 for row in found.per_class])
    occurs = support + predicted > 0
    assert found.metrics["macro_f1"] == pytest.approx(f1[occurs].mean())
    assert found.metrics["weighted_f1"] == pytest.approx((f1 * support).sum() / support.sum())
    assert found.metrics["majority_baseline_accuracy"] == support.max() / support.sum()


@settings(max_examples=30, deadline=None)
@given(SHAPES)
def test_the_loss_is_the_mean_negative_log_probability_of_the_true_label(
    shape: tuple[int, int, int],
) -> None:
    labels, logits, found = measure(shape)
    by_hand = [
        math.log(math.fsum(math.exp(v) for v in row)) - row[label]
        for row, label in zip(logits.astype(float).tolist(), labels, strict=True)
    ]
    assert found.metrics["loss"] == pytest.approx(math.fsum(by_hand) / len(by_hand), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(SHAPES)
def test_renaming_and_reordering_examples_changes_no_number(shape: tuple[int, int, int]) -> None:
    labels, logits, found = measure(shape)
    order = np.random.default_rng(0).permutation(len(labels))
    again = classification_metrics(labels[order], logits[order], found.label_names, "test")
    assert again.confusion_matrix == found.confusion_matrix
    assert again.per_class == found.per_class
    assert again.metrics == pytest.approx(found.metrics, rel=1e-12)


def test_perfect_predictions_score_one_and_lose_nothing() -> None:
    labels = np.array([0, 1, 2, 2])
    found = classification_metrics(labels, 1000.0 * np.eye(3)[labels], ["a", "b", "c"], "test")
    assert found.metrics == {
        "accuracy": 1,
        "macro_f1": 1,
        "weighted_f1": 1,
        "macro_precision": 1,
        "macro_recall": 1,
        "loss": 0,
        "majority_baseline_accuracy": 0.5,
    }


def test_a_label_that_is_absent_has_a_row_of_zeros_and_does_not_lower_the_mean() -> None:
    labels = np.array([0, 2])
    found = classification_metrics(labels, np.eye(3)[labels], ["a", "b", "c"], "test")
    absent = found.per_class[1]
    assert (absent.precision, absent.recall, absent.f1, absent.support) == (0, 0, 0, 0)
    assert found.confusion_matrix == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert found.metrics["macro_f1"] == 1


def test_very_large_and_half_precision_logits_give_a_finite_loss() -> None:
    logits = np.array([[6e4, -6e4], [6e4, -6e4]], dtype=np.float16)
    found = classification_metrics(np.array([0, 1]), logits, ["a", "b"], "test")
    assert found.metrics["loss"] == pytest.approx(float(logits[0, 0]))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = measure((1, 5, 40))[2]
    metrics_artifact.write(tmp_path / "metrics.json", found)
    assert metrics_artifact.read(tmp_path / "metrics.json") == found


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        ([], np.zeros((0, 2)), "the validation split is empty"),
        ([0, 1], np.zeros((2, 3)), "labels of shape [2] and logits of shape [2, 3]"),
        ([0, 1], np.zeros((3, 2)), "labels of shape [2] and logits of shape [3, 2]"),
        ([0, 2], np.zeros((2, 2)), "label ids from 0 to 2"),
        ([-1, 1], np.zeros((2, 2)), "label ids from -1 to 1"),
        (
            [0, 1],
            np.array([[0, np.nan], [0, 1]]),
            "the model's outputs are not finite for 1 of 2 examples",
        ),
    ],
)
def test_wrong_input_is_refused(labels: list[int], logits: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as error:
        classification_metrics(np.array(labels, dtype=int), logits, ["a", "b"], "validation")
    assert error.value.found == message
    assert error.value.where == "the validation split"
    assert error.value.expected and error.value.remedy
