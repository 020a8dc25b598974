"""Scores from sums, intervals, baselines and rankings equal scikit-learn's."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn import metrics as sklearn_metrics

from kfp_finetune.components.tasks.text_classification.measure import measure, tally
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)

TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)


def outputs(problem_type: str, count: int = 400, labels: int = 5, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    names = [f"label {i}" for i in range(labels)]
    if problem_type == REGRESSION:
        true = random.normal(5, 2, (count, 1))
        return true, true + random.normal(size=true.shape), []
    if problem_type == MULTI_LABEL:
        marks = random.random((count, labels)) < 0.3
        return marks.astype(np.float32), random.normal(size=marks.shape) + 2 * marks - 1, names
    ids = random.integers(0, labels, count)
    return ids, random.normal(size=(count, labels)) + 2 * np.eye(labels)[ids], names


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TYPES), st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 30))
def test_scores_from_sums_equal_the_measured_ones(
    problem_type: str, seed: int, count: int, labels: int
) -> None:
    true, logits, names = outputs(problem_type, count, labels, seed)
    found = measure(problem_type, true, logits, names, "test")
    scores = tally(problem_type, true, logits, None).overall()
    assert scores == pytest.approx({n: found.metrics[n] for n in scores}, rel=1e-6, abs=1e-9)
    assert scores.keys() >= {"loss"}


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 30))
def test_single_label_scores_equal_scikit_learn(seed: int, count: int, labels: int) -> None:
    true, logits, names = outputs(SINGLE_LABEL, count, labels, seed)
    given_labels = logits.argmax(axis=1)
    found = measure(SINGLE_LABEL, true, logits, names, "test").metrics
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(true, given_labels),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(true, given_labels),
        "macro_f1": sklearn_metrics.f1_score(true, given_labels, average="macro"),
        "micro_f1": sklearn_metrics.f1_score(true, given_labels, average="micro"),
        "weighted_f1": sklearn_metrics.f1_score(true, given_labels, average="weighted"),
        "matthews_correlation": sklearn_metrics.matthews_corrcoef(true, given_labels),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("problem_type", TYPES)
def test_a_weighting_of_some_examples_scores_as_these_examples_do(problem_type: str) -> None:
    true, logits, names = outputs(problem_type)
    chosen = np.arange(len(true)) % 3 == 0
    (scores,) = tally(problem_type, true, logits, None).scores(csr_array(chosen[np.newaxis]))
    alone = measure(problem_type, true[chosen], logits[chosen], names, "test").metrics
    assert scores == pytest.approx({name: alone[name] for name in scores})


@pytest.mark.parametrize("problem_type", TYPES)
def test_an_interval_contains_its_score_and_is_reproducible(problem_type: str) -> None:
    true, logits, names = outputs(problem_type)
    found = measure(problem_type, true, logits, names, "test")
    assert found.intervals == measure(problem_type, true, logits, names, "test").intervals
    assert len(found.intervals) >= 6
    for name, (low, high) in found.intervals.items():
        assert low < found.metrics[name] < high, name


def test_intervals_match_theory_and_shrink_with_the_root_of_the_examples() -> None:
    for count in (200, 20_000):
        true, logits, names = outputs(SINGLE_LABEL, count)
        found = measure(SINGLE_LABEL, true, logits, names, "test")
        low, high = found.intervals["accuracy"]
        share = found.metrics["accuracy"]
        assert high - low == pytest.approx(
            2 * 1.96 * math.sqrt(share * (1 - share) / count), rel=0.15
        )


def test_intervals_have_their_coverage() -> None:
    covered = 0
    truth = measure(SINGLE_LABEL, *outputs(SINGLE_LABEL, 100_000), "test").metrics["macro_f1"]
    for seed in range(1, 101):
        low, high = measure(SINGLE_LABEL, *outputs(SINGLE_LABEL, 300, 5, seed), "test").intervals[
            "macro_f1"
        ]
        covered += low <= truth <= high
    assert 88 <= covered <= 99


def test_fifty_thousand_examples_are_resampled_in_seconds() -> None:
    true, logits, _ = outputs(SINGLE_LABEL, 50_000, 77)
    began = time.process_time()
    tally(SINGLE_LABEL, true, logits, None).intervals()
    assert time.process_time() - began < 15


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 8), st.integers(1, 20))
def test_rankings_agree_with_scikit_learn(seed: int, count: int, labels: int, steps: int) -> None:
    true, logits, names = outputs(MULTI_LABEL, count, labels, seed)
    logits = np.round(logits * steps) / steps  # ties
    for row, has, score in zip(
        measure(MULTI_LABEL, true, logits, names, "test").per_class, true.T, logits.T, strict=True
    ):
        if has.min() == has.max():
            assert row.roc_auc is row.average_precision is None
            continue
        assert row.roc_auc == pytest.approx(sklearn_metrics.roc_auc_score(has, score))
        assert row.average_precision == pytest.approx(
            sklearn_metrics.average_precision_score(has, score)
        )


def test_two_labels_have_the_curve_and_the_area_of_the_second() -> None:
    true, logits, names = outputs(SINGLE_LABEL, 300, 2)
    found = measure(SINGLE_LABEL, true, logits, names, "test")
    margin = logits[:, 1] - logits[:, 0]
    assert found.metrics["roc_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(true, margin))
    assert found.metrics["average_precision"] == pytest.approx(
        sklearn_metrics.average_precision_score(true, margin)
    )
    curve = found.roc_curve
    assert curve is not None
    area = np.trapezoid(curve.true_positive_rates, curve.false_positive_rates)
    assert area == pytest.approx(found.metrics["roc_auc"], abs=0.01)
    assert all(0 <= value <= 1 for value in curve.thresholds)
    assert measure(SINGLE_LABEL, *outputs(SINGLE_LABEL, 300, 3), "test").roc_curve is None


@pytest.mark.parametrize("positive", [0, 1])
def test_scores_of_the_positive_label_equal_scikit_learn(positive: int) -> None:
    true, logits, names = outputs(SINGLE_LABEL, 300, 2)
    found = measure(SINGLE_LABEL, true, logits, names, "test", positive_label=names[positive])
    plain = measure(SINGLE_LABEL, true, logits, names, "test")
    has, given = true == positive, logits.argmax(axis=1) == positive
    margin = logits[:, positive] - logits[:, 1 - positive]
    expected = {
        "precision": sklearn_metrics.precision_score(has, given),
        "recall": sklearn_metrics.recall_score(has, given),
        "f1": sklearn_metrics.f1_score(has, given),
    }
    assert (
        found.metrics.keys() - plain.metrics.keys()
        == expected.keys()
        == found.intervals.keys() - (plain.intervals.keys())
    )
    ranked = {
        "average_precision": sklearn_metrics.average_precision_score(has, margin),
        "roc_auc": sklearn_metrics.roc_auc_score(has, margin),
    }
    for name, value in (expected | ranked).items():
        assert found.metrics[name] == pytest.approx(value)
    assert found.baseline["recall"] == float(np.bincount(true).argmax() == positive)
    assert found.roc_curve is not None
    false, right, _ = sklearn_metrics.roc_curve(has, margin)
    assert np.interp(
        0.3, found.roc_curve.false_positive_rates, found.roc_curve.true_positive_rates
    ) == (pytest.approx(np.interp(0.3, false, right), abs=0.02))


def test_top_k_accuracy_equals_scikit_learn() -> None:
    true, logits, names = outputs(SINGLE_LABEL, 500, 20)
    found = measure(SINGLE_LABEL, true, logits, names, "test").metrics
    for k in (3, 5):
        expected = sklearn_metrics.top_k_accuracy_score(true, logits, k=k)
        assert found[f"top_{k}_accuracy"] == pytest.approx(expected)
    equal = measure(SINGLE_LABEL, np.arange(20), np.zeros((20, 20)), names, "test").metrics
    assert equal["top_3_accuracy"] == 3 / 20


def test_the_single_label_baseline_equals_scikit_learns_dummy_classifier() -> None:
    true, logits, names = outputs(SINGLE_LABEL, 300, 4)
    baseline = measure(SINGLE_LABEL, true, logits, names, "test").baseline
    most = np.bincount(true).argmax()
    constant = np.full_like(true, most)
    assert baseline["accuracy"] == (true == most).mean()
    assert baseline["balanced_accuracy"] == 1 / 4
    assert baseline["matthews_correlation"] == 0
    expected = sklearn_metrics.f1_score(true, constant, average="macro")
    assert baseline["macro_f1"] == pytest.approx(expected)
    shares = np.bincount(true) / len(true)
    assert baseline["loss"] == pytest.approx(-(shares * np.log(shares)).sum())


def test_the_baseline_of_numbers_is_their_mean() -> None:
    true, logits, _ = outputs(REGRESSION)
    baseline = measure(REGRESSION, true, logits, [], "test").baseline
    assert baseline["rmse"] == pytest.approx(true.std())
    assert baseline["r2"] == pytest.approx(0)
    assert baseline.keys().isdisjoint({"pearson"})


def test_the_memory_saving_code_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from kfp_finetune.components.tasks.scores import pieces, ranking

    true, logits, names = outputs(SINGLE_LABEL, count=150, labels=250)
    logits = logits.round(1).astype(np.float32)  # some are equal
    expected = measure(SINGLE_LABEL, true, logits, names, "test", temperature=1.5)
    assert all(scores.roc_auc is None or scores.support for scores in expected.per_class)
    for cells in (100, 5_000):
        monkeypatch.setattr(pieces, "_CELLS", cells)
        monkeypatch.setattr(ranking, "_CELLS", cells)
        monkeypatch.setattr(pieces, "_IN_MEMORY", 0)
        in_file = pieces.new_logits(*logits.shape)
        assert isinstance(in_file, np.memmap)
        in_file[:] = logits
        found = measure(SINGLE_LABEL, true, in_file, names, "test", temperature=1.5)
        assert found.model_dump() == expected.model_dump()


def test_the_confusion_matrix_of_many_labels_has_only_non_zero_cells() -> None:
    true, logits, names = outputs(SINGLE_LABEL, count=300, labels=1_000)
    found = measure(SINGLE_LABEL, true, logits, names, "test")
    assert found.confusion_matrix == []
    expected = sklearn_metrics.confusion_matrix(true, logits.argmax(axis=1), labels=range(1_000))
    matrix = np.zeros_like(expected)
    for row, column, count in found.confusion_cells:
        matrix[row, column] = count
    assert (matrix == expected).all()
    assert len(found.confusion_cells) <= 300
