"""Mistakes worth reading: confident errors, confused labels and possible label errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax

from kfp_finetune.components.artifacts.metrics import ConfusedPair, Example, NumberPairs
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.tasks.predictions import Predictions
from kfp_finetune.components.tasks.scores.pieces import log_likelihoods, most_likely, pieces
from kfp_finetune.components.tasks.text_classification.multi_label import given_marks
from kfp_finetune.components.tasks.text_classification.problem_types import MULTI_LABEL, REGRESSION

MOST_EXAMPLES = 20
MOST_PAIRS = 10
MOST_POINTS = 1000
EXAMPLES_PER_PAIR = 3
_TEXT_LENGTH = 300


def find_mistakes(
    predictions: Predictions, model: ModelManifest, *, with_texts: bool
) -> dict[str, Any]:
    """Find mistakes worth reading, and possible label errors in the data.

    Label errors are found by confident learning (Northcutt et al., 2021): another label than that
    of the data has a probability above its mean probability on its own examples.

    Args:
        predictions: The predictions of the split.
        model: The model's manifest.
        with_texts: Whether examples are shown with their texts.

    Returns:
        `mistakes`, `confused_pairs`, `suspected_label_errors` and `predicted_numbers`, as `Metrics`
        has them.
    """
    show = _Examples(predictions, model.label_names, with_texts)
    if model.problem_type == REGRESSION:
        errors = np.abs(predictions.logits - predictions.labels)[:, 0]
        worst = np.argsort(-errors, kind="stable")[:MOST_EXAMPLES]
        return {
            "mistakes": [show.number(i) for i in worst[errors[worst] > 0]],
            "predicted_numbers": _number_pairs(predictions),
        }
    if model.problem_type == MULTI_LABEL:
        return _of_several_labels(predictions, model, show)
    return _of_one_label(predictions, model, show)


def _number_pairs(predictions: Predictions) -> NumberPairs:
    """Evenly chosen rows in the order of the split."""
    count = len(predictions.labels)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))
    true, predicted = predictions.labels[chosen, 0], predictions.logits[chosen, 0]
    return NumberPairs(labels=[*map(float, true)], predicted=[*map(float, predicted)])


def _of_one_label(
    predictions: Predictions, model: ModelManifest, show: _Examples
) -> dict[str, list[Any]]:
    labels = predictions.labels
    logits, temperature = predictions.logits, model.temperature
    predicted = most_likely(logits)
    confidence = np.exp(log_likelihoods(logits, predicted, temperature))
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")]

    def example(i: int, other: int) -> Example:
        row = softmax(np.asarray(logits[i], np.float64) / temperature)
        return show.one(i, other, float(row[other]))

    pairs, counts = np.unique(np.stack([labels, predicted])[:, surest], axis=1, return_counts=True)
    confused = []
    for at in np.argsort(-counts, kind="stable")[:MOST_PAIRS]:
        label, other = pairs[:, at].tolist()
        of_pair = surest[(labels[surest] == label) & (predicted[surest] == other)]
        confused.append(
            ConfusedPair(
                label=model.label_names[label],
                predicted=model.label_names[other],
                count=counts[at],
                share=counts[at] / (labels == label).sum(),
                examples=[example(i, other) for i in of_pair[:EXAMPLES_PER_PAIR]],
            )
        )
    suspected = _suspected_labels(labels, logits, temperature)
    return {
        "mistakes": [example(i, predicted[i]) for i in surest[:MOST_EXAMPLES]],
        "confused_pairs": confused,
        "suspected_label_errors": [example(i, other) for i, other in suspected[:MOST_EXAMPLES]],
    }


def _suspected_labels(
    labels: np.ndarray, logits: np.ndarray, temperature: float
) -> list[tuple[int, int]]:
    """Examples with a more probable label, and that label; the largest difference first."""
    own = np.exp(log_likelihoods(logits, labels, temperature))
    counts = np.bincount(labels, minlength=logits.shape[1])
    with np.errstate(invalid="ignore"):
        usual = np.bincount(labels, own, logits.shape[1]) / counts  # NaN is never exceeded
    other = np.empty(len(labels), np.int64)
    best = np.empty(len(labels))
    for rows, piece in pieces(logits):
        probabilities = softmax(piece / temperature, axis=1)
        likely = np.where(probabilities >= usual, probabilities, 0)
        likely[np.arange(len(piece)), labels[rows]] = 0
        other[rows], best[rows] = likely.argmax(axis=1), likely.max(axis=1)
    margin = best - own
    found = np.flatnonzero((best > 0) & (margin > 0))
    order = found[np.argsort(-margin[found], kind="stable")]
    return [(int(i), int(other[i])) for i in order]


def _of_several_labels(
    predictions: Predictions, model: ModelManifest, show: _Examples
) -> dict[str, list[Any]]:
    truth = predictions.labels == 1
    logits = predictions.logits.astype(np.float64)
    given = given_marks(logits, model.thresholds)
    probabilities = expit(logits)
    # The probability of the opposite of each mark in the data.
    against = np.where(truth, 1 - probabilities, probabilities)
    with np.errstate(invalid="ignore"):
        usual_with = (probabilities * truth).sum(axis=0) / truth.sum(axis=0)
        usual_without = ((1 - probabilities) * ~truth).sum(axis=0) / (~truth).sum(axis=0)
    unusual = against >= np.where(truth, usual_without, usual_with)

    def examples(marks: np.ndarray) -> list[Example]:
        surest = np.where(marks, against, 0)
        about = surest.argmax(axis=1)
        confidence = surest[np.arange(len(surest)), about]
        order = np.argsort(-confidence, kind="stable")[:MOST_EXAMPLES]
        return [
            show.several(i, truth[i], given[i], int(about[i]), float(confidence[i]))
            for i in order
            if confidence[i] > 0
        ]

    return {
        "mistakes": examples(truth != given),
        "suspected_label_errors": examples((truth != given) & unusual),
    }


class _Examples:
    """Turns rows into examples."""

    def __init__(self, predictions: Predictions, names: list[str], with_texts: bool) -> None:
        self._predictions = predictions
        self._names = names
        self._with_texts = with_texts

    def one(self, i: int, predicted: int, confidence: float) -> Example:
        label = self._names[self._predictions.labels[i]]
        return self._example(i, label, self._names[predicted], confidence=confidence)

    def several(
        self, i: int, truth: np.ndarray, given: np.ndarray, about: int, confidence: float
    ) -> Example:
        found = self._example(i, self._joined(truth), self._joined(given), confidence=confidence)
        name, predicted = self._names[about], bool(given[about])
        return found.model_copy(update={"about": name, "about_predicted": predicted})

    def number(self, i: int) -> Example:
        label, predicted = self._predictions.labels[i, 0], self._predictions.logits[i, 0]
        return self._example(i, f"{label:g}", f"{predicted:.4g}")

    def _joined(self, marks: np.ndarray) -> str:
        return ", ".join(self._names[j] for j in np.flatnonzero(marks)) or "none"

    def _example(
        self,
        i: int,
        label: str,
        predicted: str,
        confidence: float | None = None,
    ) -> Example:
        table = self._predictions.table
        texts: dict[str, str] = {}
        if self._with_texts:
            for column in ("text", "text_pair"):
                if column in table.column_names:
                    texts[column] = _beginning(table[column][int(i)].as_py())
        return Example(
            row=table["row"][int(i)].as_py() + 1,
            label=label,
            predicted=predicted,
            confidence=confidence,
            text=texts.get("text"),
            text_pair=texts.get("text_pair"),
        )


def _beginning(text: str) -> str:
    return text if len(text) <= _TEXT_LENGTH else text[:_TEXT_LENGTH].rstrip() + "…"
