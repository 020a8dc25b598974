"""Whether probabilities can be believed, and what makes them so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from kfp_finetune.components.artifacts.metrics import Calibration, Reliability, ReliabilityBin
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, SINGLE_LABEL, TOKEN_TYPES
from kfp_finetune.components.tasks.scores.pieces import log_likelihoods, most_likely, pieces

BINS = 15  # as in Guo et al. (2017)
# A split on which every answer is right would be fitted best by 0.
_LOWEST, _HIGHEST = 0.25, 4.0
MIN_POSITIVES = 10
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Fitted:
    """What was found on the validation split.

    Attributes:
        temperature: What logits are divided by before softmax; 1 where none was fitted.
        thresholds: The probability of every label above which it is given; None: not multi-label.
    """

    temperature: float = 1.0
    thresholds: list[float] | None = None


def fit(problem_type: str, labels: np.ndarray, logits: np.ndarray) -> Fitted:
    """Fit what turns logits into probabilities or decisions; deterministic.

    Args:
        problem_type: One of the task's; for regression there is nothing to fit.
        labels: Of the validation split, as the task's `targets` gives them; at least one.
        logits: Shape [examples, labels].
    """
    if not all(np.isfinite(piece).all() for _, piece in pieces(logits)):
        return Fitted()  # evaluate says so
    if problem_type in (SINGLE_LABEL, *TOKEN_TYPES):
        return Fitted(temperature=fit_temperature(labels, logits))
    logits = np.asarray(logits, np.float64)
    if problem_type == MULTI_LABEL:
        return Fitted(thresholds=fit_thresholds(labels == 1, expit(logits)))
    return Fitted()


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature whose probabilities have the least log loss (Guo et al., 2017).

    Args:
        labels: Ids, shape [examples].
        logits: Shape [examples, labels].

    Returns:
        From 0.25 to 4; above 1 where the model is too sure of itself.
    """

    def loss(log_temperature: float) -> float:
        return float(-log_likelihoods(logits, labels, np.exp(log_temperature)).mean())

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def fit_thresholds(truth: np.ndarray, probabilities: np.ndarray) -> list[float]:
    """Of every label the threshold with the best F1.

    A label with fewer than 10 examples would be fitted to chance: it gets the one threshold that is
    best for micro-F1 over all labels, or 0.5 where even all labels together have so few.

    Args:
        truth: Bool, shape [examples, labels].
        probabilities: Shape [examples, labels].
    """
    common = _best_threshold(truth.ravel(), probabilities.ravel())
    return [
        _best_threshold(has, of_label, otherwise=common)
        for has, of_label in zip(truth.T, probabilities.T, strict=True)
    ]


def _best_threshold(
    has: np.ndarray, probabilities: np.ndarray, otherwise: float = DEFAULT_THRESHOLD
) -> float:
    """Half-way between the last probability that is given the label and the next that is not."""
    positives = int(has.sum())
    if positives < MIN_POSITIVES:
        return otherwise
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    f1 = 2 * np.cumsum(has[order]) / (np.arange(1, len(has) + 1) + positives)
    following = np.append(ranked[1:], 0.0)
    f1[ranked == following] = -1  # equal probabilities are given the label together
    best = int(f1.argmax())
    return float((ranked[best] + following[best]) / 2)


def calibration(labels: np.ndarray, logits: np.ndarray, temperature: float) -> Calibration:
    """Reliability of single labels: of the predicted label's probability.

    Args:
        labels: Ids, shape [examples].
        logits: Shape [examples, labels].
        temperature: As fitted; 1 where it was not.
    """
    predicted = most_likely(logits)

    def of(scale: float) -> Reliability:
        confidence = np.exp(log_likelihoods(logits, predicted, scale))
        losses = -log_likelihoods(logits, labels, scale)
        return _reliability(confidence, predicted == labels, losses)

    after = None if temperature == 1 else of(temperature)
    return Calibration(temperature=temperature, before=of(1.0), after=after)


def calibration_of_marks(truth: np.ndarray, logits: np.ndarray) -> Calibration:
    """Reliability of several labels: of every label's probability for every example.

    Args:
        truth: Bool, shape [examples, labels].
        logits: Float64, shape [examples, labels].
    """
    losses = -log_expit(np.where(truth, logits, -logits))
    before = _reliability(expit(logits).ravel(), truth.ravel(), losses.ravel())
    return Calibration(temperature=1.0, before=before)


def _reliability(confidence: np.ndarray, right: np.ndarray, losses: np.ndarray) -> Reliability:
    of_bin = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(of_bin, minlength=BINS)
    sums = np.bincount(of_bin, confidence, BINS), np.bincount(of_bin, right, BINS)
    bins = [
        ReliabilityBin(confidence=sure / n, accuracy=hits / n, count=n)
        for n, sure, hits in zip(counts.tolist(), *(s.tolist() for s in sums), strict=True)
        if n
    ]
    gaps = np.abs(sums[0] - sums[1]).sum()
    return Reliability(ece=float(gaps / len(right)), loss=float(losses.mean()), bins=bins)
