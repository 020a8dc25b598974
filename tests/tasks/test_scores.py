from __future__ import annotations

import math
import warnings
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sklearn_metrics

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)

# (seed, number of labels, number of examples)
SHAPES = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 200), st.integers(1, 300))


def measured(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, Metrics]:
    seed, num_labels, count = shape
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_labels, count)
    logits = random.normal(scale=3, size=(count, num_labels)).astype(np.float32)
    names = [f"label {i}" for i in range(num_labels)]
    return labels, logits, measure(SINGLE_LABEL, labels, logits, names, "test")


@settings(max_examples=30, deadline=None)
@given(SHAPES)
def test_the_confusion_matrix_agrees_with_support_accuracy_and_per_class_scores(
    shape: tuple[int, int, int],
) -> None:
    labels, _, found = measured(shape)
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
    labels, logits, found = measured(shape)
    by_hand = [
        math.log(math.fsum(math.exp(v) for v in row)) - row[label]
        for row, label in zip(logits.astype(float).tolist(), labels, strict=True)
    ]
    assert found.metrics["loss"] == pytest.approx(math.fsum(by_hand) / len(by_hand), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(SHAPES)
def test_renaming_and_reordering_examples_changes_no_number(shape: tuple[int, int, int]) -> None:
    labels, logits, found = measured(shape)
    order = np.random.default_rng(0).permutation(len(labels))
    again = measure(SINGLE_LABEL, labels[order], logits[order], found.label_names, "test")
    assert again.confusion_matrix == found.confusion_matrix
    assert again.per_class == found.per_class
    assert again.metrics == pytest.approx(found.metrics, rel=1e-12)


def test_perfect_predictions_score_one_and_lose_nothing() -> None:
    labels = np.array([0, 1, 2, 2])
    found = measure(SINGLE_LABEL, labels, 1000.0 * np.eye(3)[labels], ["a", "b", "c"], "test")
    zero, half = {"loss", "ece"}, {"majority_baseline_accuracy"}
    assert {name for name, value in found.metrics.items() if value == 0} == zero
    assert {name for name, value in found.metrics.items() if value == 0.5} == half
    assert {value for name, value in found.metrics.items() if name not in zero | half} == {1}
    for name in ("accuracy", "macro_f1", "loss"):
        assert found.intervals[name] == (found.metrics[name], found.metrics[name])


def test_a_label_that_is_absent_has_a_row_of_zeros_and_does_not_lower_the_mean() -> None:
    labels = np.array([0, 2])
    found = measure(SINGLE_LABEL, labels, np.eye(3)[labels], ["a", "b", "c"], "test")
    absent = found.per_class[1]
    assert (absent.precision, absent.recall, absent.f1, absent.support) == (0, 0, 0, 0)
    assert found.confusion_matrix == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert found.metrics["macro_f1"] == 1


def test_very_large_and_half_precision_logits_give_a_finite_loss() -> None:
    logits = np.array([[6e4, -6e4], [6e4, -6e4]], dtype=np.float16)
    found = measure(SINGLE_LABEL, np.array([0, 1]), logits, ["a", "b"], "test")
    assert found.metrics["loss"] == pytest.approx(float(logits[0, 0]))


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
def test_metrics_survive_writing_and_reading(tmp_path: Path, problem_type: str) -> None:
    found = {
        SINGLE_LABEL: measured((1, 5, 40))[2],
        MULTI_LABEL: multi_label(*random_marks((1, 5, 40))),
        REGRESSION: regression([1, 2, 4], [1, 3, 3]),
    }[problem_type]
    metrics_artifact.write(tmp_path / "metrics.json", found)
    assert metrics_artifact.read(tmp_path / "metrics.json") == found


def random_marks(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    seed, num_labels, count = shape
    random = np.random.default_rng(seed)
    marks = (random.random((count, num_labels)) < random.random(num_labels)).astype(np.float32)
    logits = random.normal(size=marks.shape) * 3 + (marks * 2 - 1) * random.random()
    return marks, logits.astype(np.float32)


def multi_label(marks: Any, logits: Any) -> Metrics:
    marks = np.asarray(marks, dtype=np.float32)
    names = [f"label {i}" for i in range(marks.shape[1])]
    return measure(MULTI_LABEL, marks, np.asarray(logits), names, "test")


def regression(labels: Any, predictions: Any) -> Metrics:
    columns = (np.asarray(v, dtype=np.float32)[:, np.newaxis] for v in (labels, predictions))
    return measure(REGRESSION, *columns, [], "test")


def test_several_labels_are_scored_as_by_hand() -> None:
    # Marks given: 4, of which 3 are right; marks true: 5; one row of three wholly right.
    found = multi_label(
        [[1, 1, 0], [1, 0, 0], [1, 0, 1]],
        [[2.0, 1.0, -1.0], [-1.0, 0.5, 0.0], [3.0, -2.0, -0.1]],
    )
    weighted = (3 * 0.8 + 1 * 2 / 3 + 1 * 0) / 5
    expected = pytest.approx(
        {
            "micro_f1": 6 / 9,
            "micro_precision": 3 / 4,
            "micro_recall": 3 / 5,
            "macro_f1": (0.8 + 2 / 3 + 0) / 3,
            "weighted_f1": weighted,
            "samples_f1": (1 + 0 + 2 / 3) / 3,
            "subset_accuracy": 1 / 3,
            "hamming_loss": 3 / 9,
            "loss": math.fsum(
                math.log(1 + math.exp(v))
                for v in (-2.0, -1.0, -1.0, 1.0, 0.5, 0.0, -3.0, -2.0, 0.1)
            )
            / 9,
            "constant_baseline_micro_f1": 2 * 3 / (3 + 5),  # the first label, for every row
            "roc_auc": (1 + 1 / 2) / 2,
            "average_precision": (1 + 1 / 2) / 2,
        }
    )
    assert {n: v for n, v in found.metrics.items() if n != "ece"} == expected
    rows = [(r.label, r.precision, r.recall, r.support) for r in found.per_class]
    assert rows == [
        ("label 0", 1, pytest.approx(2 / 3), 3),
        ("label 1", 0.5, 1, 1),
        ("label 2", 0, 0, 1),
    ]
    assert found.confusion_matrix == []


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 100)))
def test_several_labels_agree_with_scikit_learn(shape: tuple[int, int, int]) -> None:
    marks, logits = random_marks(shape)
    found = multi_label(marks, logits)
    given_marks = (1 / (1 + np.exp(-logits.astype(float))) > 0.5).astype(int)
    occurs = np.flatnonzero((marks + given_marks).any(axis=0))

    def scores(average: str | None, **options: Any) -> Any:
        return sklearn_metrics.precision_recall_fscore_support(
            marks, given_marks, average=average, **{"zero_division": 0, **options}
        )

    expected = {
        "micro_precision": scores("micro")[0],
        "micro_recall": scores("micro")[1],
        "micro_f1": scores("micro")[2],
        "macro_f1": scores("macro", labels=occurs)[2] if len(occurs) else 0,
        "weighted_f1": scores("weighted")[2],
        "samples_f1": scores("samples", zero_division=1)[2],
        "subset_accuracy": sklearn_metrics.accuracy_score(marks, given_marks),
        "hamming_loss": sklearn_metrics.hamming_loss(marks, given_marks),
    }
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected)
    precision, recall, f1, support = scores(None)
    assert [r.precision for r in found.per_class] == pytest.approx(precision)
    assert [r.recall for r in found.per_class] == pytest.approx(recall)
    assert [r.f1 for r in found.per_class] == pytest.approx(f1)
    assert [r.support for r in found.per_class] == support.tolist()


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 30)))
def test_no_constant_set_of_labels_beats_the_constant_baseline(shape: tuple[int, int, int]) -> None:
    marks, logits = random_marks(shape)
    best = 0.0
    for size in range(marks.shape[1] + 1):
        for chosen in combinations(range(marks.shape[1]), size):
            constant = -np.ones_like(logits)
            constant[:, list(chosen)] = 1
            best = max(best, multi_label(marks, constant).metrics["micro_f1"])
    found = multi_label(marks, logits).metrics["constant_baseline_micro_f1"]
    assert found == pytest.approx(best)


def test_a_single_indicator_column_is_not_two_classes() -> None:
    found = multi_label([[1], [0], [0], [1]], [[1.0], [1.0], [-1.0], [-1.0]])
    assert found.metrics["micro_f1"] == found.metrics["macro_f1"] == 0.5
    assert [(r.f1, r.support) for r in found.per_class] == [(0.5, 2)]


def test_rows_without_labels_and_predictions_are_correct() -> None:
    found = multi_label([[1, 0], [0, 0]], [[9.0, -9.0], [-9.0, -9.0]])
    perfect = ("micro_f1", "macro_f1", "weighted_f1", "samples_f1", "subset_accuracy")
    assert [found.metrics[name] for name in perfect] == [1] * 5
    nothing = multi_label([[0, 0], [0, 0]], [[-1.0, -1.0], [-1.0, -1.0]]).metrics
    assert nothing["subset_accuracy"] == nothing["samples_f1"] == 1
    assert nothing["micro_f1"] == nothing["constant_baseline_micro_f1"] == 0


def test_very_large_logits_of_several_labels_give_a_finite_loss() -> None:
    found = multi_label([[1, 0]], np.array([[-6e4, 6e4]], dtype=np.float16))
    assert found.metrics["loss"] == pytest.approx(6e4, rel=1e-3)
    assert multi_label([[1, 0]], [[1e3, -1e3]]).metrics["loss"] == 0


def test_numbers_are_scored_as_by_hand() -> None:
    found = regression([1, 2, 3, 6], [2, 2, 2, 8])
    covariance, true, predicted = 18.0, 14.0, 27.0  # sums of products around the means
    assert found.metrics == pytest.approx(
        {
            "mae": 1.0,
            "rmse": math.sqrt(1.5),
            "loss": 1.5,
            "mean_error": 0.5,
            "mean_baseline_mae": 1.5,
            "r2": 1 - 6 / 14,
            "prediction_spread": math.sqrt(predicted / true),
            "pearson": covariance / math.sqrt(true * predicted),
            "spearman": 3 / math.sqrt(5 * 3),  # of the ranks 1 2 3 4 and 2 2 2 4
        }
    )
    assert (found.per_class, found.confusion_matrix, found.label_names) == ([], [], [])


@pytest.mark.parametrize(
    ("labels", "predictions", "missing"),
    [
        ([1, 2, 3], [2, 2, 2], {"pearson", "spearman"}),
        ([2, 2, 2], [1, 2, 3], {"r2", "prediction_spread", "pearson", "spearman"}),
        ([2], [1], {"r2", "prediction_spread", "pearson", "spearman"}),
    ],
)
def test_undefined_scores_of_equal_numbers_are_omitted(
    labels: list[float], predictions: list[float], missing: set[str]
) -> None:
    found = regression(labels, predictions).metrics
    names = {"mae", "rmse", "loss", "mean_error", "mean_baseline_mae", "r2"}
    names |= {"prediction_spread", "pearson", "spearman"}
    assert set(found) == names - missing


FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 20)), elements=FLOATS))
def test_every_score_of_numbers_is_finite_and_nothing_warns(pair: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = regression(*pair).metrics
    assert all(math.isfinite(value) for value in found.values())
    for name in ("pearson", "spearman"):
        assert abs(found.get(name, 0)) <= 1 + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100), st.floats(-100, 100))
def test_scale_and_offset_of_the_unit_change_no_correlation(
    seed: int, scale: float, offset: float
) -> None:
    labels, noise = np.random.default_rng(seed).normal(size=(2, 50)).astype(np.float32)
    one = regression(labels, labels + noise).metrics
    other = regression(labels * scale + offset, (labels + noise) * scale + offset).metrics
    for name in ("r2", "pearson"):
        assert other[name] == pytest.approx(one[name], abs=1e-3)
    # Two numbers may be the same float32 after the change, which moves a rank by half.
    assert other["spearman"] == pytest.approx(one["spearman"], abs=1e-2)
    for name in ("mae", "rmse", "mean_baseline_mae"):
        assert other[name] == pytest.approx(one[name] * scale, rel=1e-2)


@pytest.mark.parametrize(
    ("problem_type", "labels", "logits", "message"),
    [
        (SINGLE_LABEL, np.zeros(0, int), np.zeros((0, 2)), "the validation split is empty"),
        (SINGLE_LABEL, [0, 1], np.zeros((2, 3)), "labels of shape [2] and logits of shape [2, 3]"),
        (SINGLE_LABEL, [0, 1], np.zeros((3, 2)), "labels of shape [2] and logits of shape [3, 2]"),
        (SINGLE_LABEL, [0, 2], np.zeros((2, 2)), "label ids from 0 to 2"),
        (SINGLE_LABEL, [-1, 1], np.zeros((2, 2)), "label ids from -1 to 1"),
        (
            SINGLE_LABEL,
            [0, 1],
            [[0, np.nan], [0, 1]],
            "the model's outputs are not finite for 1 of 2 examples",
        ),
        (MULTI_LABEL, np.zeros((0, 2)), np.zeros((0, 2)), "the validation split is empty"),
        (
            MULTI_LABEL,
            np.zeros((2, 3)),
            np.zeros((2, 3)),
            "labels of shape [2, 3] and logits of shape [2, 3]",
        ),
        (MULTI_LABEL, [0, 1], np.zeros((2, 2)), "labels of shape [2] and logits of shape [2, 2]"),
        (MULTI_LABEL, [[0, 2]], np.zeros((1, 2)), "1 of 2 marks are neither 0 nor 1"),
        (
            MULTI_LABEL,
            np.zeros((2, 2)),
            [[0, np.inf], [0, 1]],
            "the model's outputs are not finite for 1 of 2 examples",
        ),
        (REGRESSION, np.zeros((0, 1)), np.zeros((0, 1)), "the validation split is empty"),
        (REGRESSION, [1.5, 2], np.zeros((2, 1)), "labels of shape [2] and logits of shape [2, 1]"),
        (
            REGRESSION,
            [[1.5], [2]],
            np.zeros((2, 2)),
            "labels of shape [2, 1] and logits of shape [2, 2]",
        ),
        (
            REGRESSION,
            [[1.5], [np.inf]],
            np.zeros((2, 1)),
            "the label is not finite for 1 of 2 examples",
        ),
        (
            REGRESSION,
            [[1.5], [2]],
            [[np.nan], [1]],
            "the model's outputs are not finite for 1 of 2 examples",
        ),
    ],
)
def test_wrong_input_is_refused(problem_type: str, labels: Any, logits: Any, message: str) -> None:
    names = [] if problem_type == REGRESSION else ["a", "b"]
    with pytest.raises(InputError) as error:
        measure(problem_type, np.array(labels), np.array(logits), names, "validation")
    assert error.value.found == message
    assert error.value.where == "the validation split"
    assert error.value.expected and error.value.remedy
