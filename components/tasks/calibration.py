"""Calibration: how reliable probabilities are, and the temperature or thresholds that help."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from kfp_finetune.components.artifacts.metrics import Calibration, Reliability, ReliabilityBin
from kfp_finetune.components.tasks.scores.pieces import log_likelihoods, most_likely, pieces

BINS = 15  # as in Guo et al. (2017)
# Without a lower bound, 0 would fit best on a split in which every prediction is correct.
_LOWEST, _HIGHEST = 0.25, 4.0
MIN_POSITIVES = 10
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Fitted:
    """The result of calibration on the validation split.

    Attributes:
        temperature: Logits are divided by it before softmax; 1 if none was fitted or it would not
            help.
        rejected_temperature: The fitted temperature if it would not help; None otherwise.
        thresholds: For every label the probability above which it is predicted; None if a text has
            one label.
    """

    temperature: float = 1.0
    rejected_temperature: float | None = None
    thresholds: list[float] | None = None


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> Fitted:
    """Fit the temperature whose probabilities have the least log loss (Guo et al., 2017).

    It is rejected unless it lowers both the log loss and the calibration error of these examples:
    the two can disagree, and probabilities that are already calibrated are better left alone.

    Args:
        labels: Ids, shape [examples].
        logits: Shape [examples, labels].

    Returns:
        A temperature from 0.25 to 4; above 1 if the model is overconfident. 1 if it would not
        help, or if a logit is not finite, which evaluate reports.
    """
    if not _all_finite(logits):
        return Fitted()

    def loss(log_temperature: float) -> float:
        return float(-log_likelihoods(logits, labels, np.exp(log_temperature)).mean())

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    temperature = float(np.exp(found.x))
    fitted = calibration(labels, logits, temperature)
    if fitted.after is None or not _improves(fitted.before, fitted.after):
        return Fitted(rejected_temperature=temperature)
    return Fitted(temperature=temperature)


def _improves(before: Reliability, after: Reliability) -> bool:
    return after.ece < before.ece and after.loss < before.loss


def fit_thresholds(labels: np.ndarray, logits: np.ndarray) -> Fitted:
    """Fit the threshold with the best F1 for every label.

    The threshold of a label with fewer than 10 examples would be fitted to noise: it gets the one
    that is best for micro-F1 over all labels, or 0.5 if all labels together have fewer than 10.

    Args:
        labels: 0 or 1, shape [examples, labels].
        logits: Shape [examples, labels].

    Returns:
        The thresholds; none if a logit is not finite, which evaluate reports.
    """
    if not _all_finite(logits):
        return Fitted()
    truth, probabilities = labels == 1, expit(np.asarray(logits, np.float64))
    common = _best_threshold(truth.ravel(), probabilities.ravel())
    return Fitted(
        thresholds=[
            _best_threshold(has, of_label, otherwise=common)
            for has, of_label in zip(truth.T, probabilities.T, strict=True)
        ]
    )


def _all_finite(logits: np.ndarray) -> bool:
    return all(np.isfinite(piece).all() for _, piece in pieces(logits))


def _best_threshold(
    has: np.ndarray, probabilities: np.ndarray, otherwise: float = DEFAULT_THRESHOLD
) -> float:
    """The threshold half-way between the last probability above it and the next one below."""
    positives = int(has.sum())
    if positives < MIN_POSITIVES:
        return otherwise
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    f1 = 2 * np.cumsum(has[order]) / (np.arange(1, len(has) + 1) + positives)
    following = np.append(ranked[1:], 0.0)
    f1[ranked == following] = -1  # no threshold separates equal probabilities
    best = int(f1.argmax())
    return float((ranked[best] + following[best]) / 2)


def calibration(labels: np.ndarray, logits: np.ndarray, temperature: float) -> Calibration:
    """Reliability with one label per example: that of the predicted label's probability.

    Args:
        labels: Ids, shape [examples].
        logits: Shape [examples, labels].
        temperature: As fitted; 1 if it was not.
    """
    predicted = most_likely(logits)

    def of(scale: float) -> Reliability:
        confidence = np.exp(log_likelihoods(logits, predicted, scale))
        losses = -log_likelihoods(logits, labels, scale)
        return _reliability(confidence, predicted == labels, losses)

    after = None if temperature == 1 else of(temperature)
    return Calibration(temperature=temperature, before=of(1.0), after=after)


def calibration_of_marks(truth: np.ndarray, logits: np.ndarray) -> Calibration:
    """Reliability with several labels: that of every label's probability for every example.

    Args:
        truth: Bool, shape [examples, labels].
        logits: Float64, shape [examples, labels].
    """
    losses = -log_expit(np.where(truth, logits, -logits))
    before = _reliability(expit(logits).ravel(), truth.ravel(), losses.ravel())
    return Calibration(temperature=1.0, before=before)


def _reliability(confidence: np.ndarray, correct: np.ndarray, losses: np.ndarray) -> Reliability:
    of_bin = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(of_bin, minlength=BINS)
    sums = np.bincount(of_bin, confidence, BINS), np.bincount(of_bin, correct, BINS)
    bins = [
        ReliabilityBin(confidence=total / n, accuracy=hits / n, count=n)
        for n, total, hits in zip(counts.tolist(), *(s.tolist() for s in sums), strict=True)
        if n
    ]
    gaps = np.abs(sums[0] - sums[1]).sum()
    return Reliability(ece=float(gaps / len(correct)), loss=float(losses.mean()), bins=bins)
