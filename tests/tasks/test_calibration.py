"""Temperature and thresholds, as fitted on a validation split."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import f1_score

from kfp_finetune.components.tasks import calibration
from kfp_finetune.components.tasks.registry import task_of
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)


def fit(problem_type: str, labels: np.ndarray, logits: np.ndarray) -> calibration.Fitted:
    return task_of(problem_type).calibrate(problem_type, labels, logits)


def sure(factor: float, count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the softmax of some logits, and these logits times a factor."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(count, 4))
    labels = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    return labels, logits * factor


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_the_temperature_undoes_overconfidence(factor: float) -> None:
    fitted = fit(SINGLE_LABEL, *sure(factor))
    assert fitted.temperature == pytest.approx(factor, rel=0.1)
    assert fitted.thresholds is None
    labels, logits = sure(factor, seed=1)
    names = list("abcd")
    found = measure(SINGLE_LABEL, labels, logits, names, "test", temperature=fitted.temperature)
    assert found.calibration is not None and found.calibration.after is not None
    assert found.metrics["calibrated_ece"] == found.calibration.after.ece < 0.03
    assert found.metrics["ece"] > 2 * found.metrics["calibrated_ece"]
    assert found.calibration.after.loss < found.calibration.before.loss
    assert found.metrics["loss"] == pytest.approx(found.calibration.before.loss)


def test_the_calibration_error_equals_a_count_by_hand() -> None:
    # Sure by 0.9 four times and right three times: one bin, and a gap of 0.15.
    logits = np.array([[np.log(9), 0.0]] * 4)
    found = measure(SINGLE_LABEL, np.array([0, 0, 0, 1]), logits, ["a", "b"], "test")
    assert found.metrics["ece"] == pytest.approx(0.15)
    assert found.calibration is not None and found.calibration.after is None
    (only,) = found.calibration.before.bins
    assert (only.count, only.accuracy, only.confidence) == (4, 0.75, pytest.approx(0.9))


def test_the_temperature_is_bounded_if_all_predictions_are_correct_or_wrong() -> None:
    labels, logits = np.arange(4), np.eye(4)
    assert 0.2 < fit(SINGLE_LABEL, labels, logits).temperature < 0.3
    assert 3.9 < fit(SINGLE_LABEL, labels, -logits).temperature < 4.1


def test_a_temperature_that_does_not_improve_calibration_is_rejected() -> None:
    """Always right where it is confident: a lower log loss, and a higher calibration error."""
    logits = np.log(np.array([[0.98, 0.02]] * 100 + [[0.6, 0.4]] * 300))
    labels = np.array([0] * 100 + [0] * 174 + [1] * 126)
    fitted = fit(SINGLE_LABEL, labels, logits)
    rejected = fitted.rejected_temperature
    assert fitted.temperature == 1 and rejected is not None
    before = calibration.calibration(labels, logits, 1.0).before
    after = calibration.calibration(labels, logits, rejected).after
    assert after is not None and after.loss < before.loss and after.ece > 1.4 * before.ece


def marks(count: int, frequencies: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random((count, len(frequencies))) < frequencies
    return truth, random.normal(size=truth.shape) + 2 * truth - 3  # too reluctant by far


def test_a_threshold_has_the_best_f1() -> None:
    truth, logits = marks(300, [0.5, 0.2, 0.1])
    thresholds = fit(MULTI_LABEL, truth.astype(np.float32), logits).thresholds
    assert thresholds is not None
    probabilities = expit(logits)
    for has, of_label, threshold in zip(truth.T, probabilities.T, thresholds, strict=True):
        best = max(f1_score(has, of_label >= cut) for cut in of_label)
        assert f1_score(has, of_label > threshold) == pytest.approx(best)


def test_rare_labels_share_a_threshold_and_few_examples_get_one_half() -> None:
    truth, logits = marks(300, [0.5, 0.3, 0.0, 0.01])
    thresholds = fit(MULTI_LABEL, truth, logits).thresholds
    assert thresholds is not None
    assert truth[:, 3].sum() < calibration.MIN_POSITIVES
    assert thresholds[2] == thresholds[3] not in thresholds[:2]
    pooled = f1_score(truth.ravel(), expit(logits).ravel() > thresholds[2])
    assert pooled >= f1_score(truth.ravel(), expit(logits).ravel() > 0.5)
    assert fit(MULTI_LABEL, truth[:3], logits[:3]).thresholds == [0.5] * 4


def test_no_threshold_separates_equal_probabilities() -> None:
    truth = np.array([[True], [False]] * 10)
    thresholds = fit(MULTI_LABEL, truth, np.full((20, 1), logit(0.3))).thresholds
    assert thresholds == [pytest.approx(0.15)]


def test_fitted_thresholds_are_used_and_the_untuned_score_is_reported() -> None:
    truth, logits = marks(2000, [0.4, 0.2])
    fitted = fit(MULTI_LABEL, *marks(2000, [0.4, 0.2], seed=1))
    found = measure(MULTI_LABEL, truth, logits, ["a", "b"], "test", thresholds=fitted.thresholds)
    plain = measure(MULTI_LABEL, truth, logits, ["a", "b"], "test")
    assert found.metrics["micro_f1"] > plain.metrics["micro_f1"] + 0.2
    assert found.metrics["untuned_micro_f1"] == plain.metrics["micro_f1"]
    assert [row.threshold for row in found.per_class] == fitted.thresholds
    assert [row.threshold for row in plain.per_class] == [0.5, 0.5]


def test_nothing_is_fitted_for_numbers_or_non_finite_logits() -> None:
    nothing = calibration.Fitted()
    assert fit(REGRESSION, np.ones((3, 1)), np.ones((3, 1))) == nothing
    assert fit(SINGLE_LABEL, np.zeros(1, int), np.array([[np.nan, 1]])) == nothing
