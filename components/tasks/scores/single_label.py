"""The scores of predictions of one label per example."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_fscore_support,
    roc_curve,
)

from kfp_finetune.components.artifacts.metrics import ClassScores, Metrics, RocCurve
from kfp_finetune.components.tasks.calibration import calibration
from kfp_finetune.components.tasks.scores.pieces import log_likelihoods, most_likely, pieces
from kfp_finetune.components.tasks.scores.ranking import mean_of_known, rank_labels
from kfp_finetune.components.tasks.scores.tally import Tally, share, stack

# k of top-k accuracy, each only with more labels than the number beside it.
_TOP = {3: 5, 5: 10}
_ROC_POINTS = 200
MOST_IN_A_MATRIX = 200  # labels: 40,000 numbers; with more, nearly all of them are 0


def single_label(
    labels: np.ndarray,
    logits: np.ndarray,
    label_names: list[str],
    split: str,
    temperature: float,
    positive_label: str | None = None,
) -> Metrics:
    """Measure predictions of one label per example.

    The predicted label is the one with the largest logit (the first of equal ones). `loss` is the
    mean cross-entropy (log loss) in nats, from a float64 log-softmax. The macro and weighted
    averages are scikit-learn's: they run over the labels that occur in the split or among the
    predictions, so a label that is absent from the split does not lower them.

    Args:
        labels: Ids, shape [examples].
        logits: Shape [examples, labels].
        label_names: The label of id i is `label_names[i]`.
        split: The split's name.
        temperature: Logits are divided by it for calibrated probabilities.
        positive_label: The positive one of two labels; None if there is none.

    Returns:
        Scalars `accuracy`, `balanced_accuracy` (the mean recall of the labels that occur),
        `macro_f1`, `micro_f1` (with one label per example the same as accuracy), `weighted_f1`,
        `macro_precision`, `macro_recall`, `matthews_correlation`, `loss`, `top_3_accuracy` and
        `top_5_accuracy` for many labels, `ece` and, with a temperature, `calibrated_ece`,
        `roc_auc` and `average_precision` (of the positive one of two labels, by default the
        second; with more, the mean of each one against the rest) and `majority_baseline_accuracy`
        (the share of the most frequent label); with a positive label also its `precision`, `recall`
        and `f1`; scores for every label (0 if undefined), and the confusion matrix.
    """
    predicted = most_likely(logits)
    ids = np.arange(len(label_names))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=ids, zero_division=0
    )
    macro = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    positive = label_names.index(positive_label) if positive_label else None
    tally = single_label_tally(labels, logits, positive)
    scores = tally.overall()
    areas, precisions = rank_labels(labels, logits)
    calibrated = calibration(labels, logits, temperature)
    ranked = 1 if positive is None else positive
    binary = len(label_names) == 2 and areas[1] is not None
    metrics = {
        **scores,
        "micro_f1": scores["accuracy"],
        "macro_precision": float(macro[0]),
        "macro_recall": float(macro[1]),
        **_top_accuracies(labels, logits),
        "ece": calibrated.before.ece,
        "majority_baseline_accuracy": float(support.max() / len(labels)),
    }
    if calibrated.after:
        metrics["calibrated_ece"] = calibrated.after.ece
    for name, values in (("roc_auc", areas), ("average_precision", precisions)):
        value = values[ranked] if len(label_names) == 2 else mean_of_known(values)
        if value is not None:
            metrics[name] = value
    return Metrics(
        split=split,
        num_examples=len(labels),
        metrics=metrics,
        intervals=tally.intervals(),
        baseline=_baseline(labels, support, positive),
        per_class=[
            ClassScores(
                label=name,
                precision=precision[i],
                recall=recall[i],
                f1=f1[i],
                support=support[i],
                roc_auc=areas[i],
                average_precision=precisions[i],
            )
            for i, name in enumerate(label_names)
        ],
        **confusion(labels, predicted, len(label_names)),
        label_names=label_names,
        positive_label=positive_label,
        roc_curve=_roc_curve(labels, logits, ranked) if binary else None,
        calibration=calibrated,
    )


def single_label_tally(
    labels: np.ndarray, logits: np.ndarray, positive: int | None = None
) -> Tally:
    """Accuracy, balanced accuracy, F1, Matthews correlation and loss of any weighting.

    Args:
        labels: Ids, shape [examples].
        logits: Shape [examples, labels].
        positive: Id of the label whose own precision, recall and F1 are scores, too.
    """
    losses = -log_likelihoods(logits, labels)
    return _tally(labels, most_likely(logits), losses, logits.shape[1], positive)


def confusion(labels: np.ndarray, predicted: np.ndarray, count: int) -> dict[str, Any]:
    """The confusion matrix, as fields of `Metrics`; for many labels only the non-zero cells.

    Args:
        labels: Ids, shape [examples].
        predicted: The predicted id of each.
        count: Number of labels.
    """
    if count <= MOST_IN_A_MATRIX:
        matrix = confusion_matrix(labels, predicted, labels=np.arange(count))
        return {"confusion_matrix": matrix.tolist()}
    pairs, counts = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    cells = zip(*pairs.tolist(), counts.tolist(), strict=True)
    return {"confusion_matrix": [], "confusion_cells": list(cells)}


def _tally(
    labels: np.ndarray,
    predicted: np.ndarray,
    losses: np.ndarray,
    count: int,
    positive: int | None,
) -> Tally:
    right = _one_hot(labels, count) * (labels == predicted)[:, np.newaxis]
    columns = stack(_one_hot(labels, count), _one_hot(predicted, count), right, losses)

    def scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
        true, given, hits = (sums[:, i * count : (i + 1) * count] for i in range(3))
        total, right = true.sum(axis=1), hits.sum(axis=1)
        f1 = share(2 * hits, true + given)
        recall = share(hits, true)
        # The multiclass correlation of Gorodkin (2004), as scikit-learn has it.
        spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (given**2).sum(axis=1))
        covariance = right * total - (true * given).sum(axis=1)
        of_positive = {}
        if positive is not None:
            of_positive = {
                "precision": share(hits[:, positive], given[:, positive]),
                "recall": recall[:, positive],
                "f1": f1[:, positive],
            }
        return {
            "accuracy": share(right, total),
            "balanced_accuracy": share(recall.sum(axis=1), (true > 0).sum(axis=1)),
            "macro_f1": share(f1.sum(axis=1), (true + given > 0).sum(axis=1)),
            "weighted_f1": share((f1 * true).sum(axis=1), total),
            "matthews_correlation": share(covariance, np.sqrt(spread)),
            "loss": share(sums[:, -1], total),
            **of_positive,
        }

    return Tally(columns, scores_of)


def _one_hot(ids: np.ndarray, count: int) -> csr_array:
    return csr_array((np.ones(len(ids)), ids, np.arange(len(ids) + 1)), shape=(len(ids), count))


def _baseline(labels: np.ndarray, support: np.ndarray, positive: int | None) -> dict[str, float]:
    """Scores of always predicting the most frequent label, with label frequencies as odds."""
    with np.errstate(divide="ignore"):
        odds = np.log(support / support.sum())
    always = np.full(len(labels), odds.argmax())
    return _tally(labels, always, -odds[labels], len(support), positive).overall()


def _top_accuracies(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    rank = np.empty(len(labels), np.int64)
    for rows, piece in pieces(logits):
        of_rows = labels[rows][:, np.newaxis]
        own = np.take_along_axis(piece, of_rows, axis=1)
        before = np.arange(piece.shape[1]) < of_rows  # of equal ones, the first wins
        rank[rows] = ((piece > own) | ((piece == own) & before)).sum(axis=1)
    return {
        f"top_{k}_accuracy": float((rank < k).mean())
        for k, above in _TOP.items()
        if logits.shape[1] > above
    }


def _roc_curve(labels: np.ndarray, logits: np.ndarray, positive: int) -> RocCurve:
    probabilities = softmax(np.asarray(logits, np.float64), axis=1)
    false, true, thresholds = roc_curve(labels == positive, probabilities[:, positive])
    chosen = np.unique(np.linspace(0, len(false) - 1, _ROC_POINTS).round().astype(int))
    return RocCurve(
        false_positive_rates=false[chosen].tolist(),
        true_positive_rates=true[chosen].tolist(),
        thresholds=np.minimum(thresholds[chosen], 1).tolist(),  # the first one is infinite
    )
