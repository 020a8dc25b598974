"""The scores of predictions of any number of labels per example."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit

from kfp_finetune.components.artifacts.metrics import UNTUNED, ClassScores, Metrics
from kfp_finetune.components.tasks.calibration import (
    DEFAULT_THRESHOLD,
    calibration_of_marks,
)
from kfp_finetune.components.tasks.scores.ranking import mean_of_known, rank_scores
from kfp_finetune.components.tasks.scores.tally import Tally, share, stack


def multi_label(
    truth: np.ndarray,
    logits: np.ndarray,
    label_names: list[str],
    split: str,
    thresholds: list[float] | None,
) -> Metrics:
    """Measure predictions of several labels per example.

    A label is predicted if its sigmoid is above its threshold. `loss` is the binary
    cross-entropy in nats, averaged over labels and examples. The averages over labels run over
    those that occur in the split or among the predictions, as they do for single labels. An
    example without labels and without predictions counts as correct in `samples_f1`; anything else
    undefined is 0. Counts are computed here because scikit-learn reads a single label's column as
    two classes.

    Args:
        truth: Bool, shape [examples, labels].
        logits: Float64, shape [examples, labels].
        label_names: The label of id i is `label_names[i]`.
        split: The split's name.
        thresholds: A probability for every label; None: 0.5 for all.

    Returns:
        Scalars `micro_f1`, `micro_precision`, `micro_recall`, `macro_f1`, `weighted_f1`,
        `samples_f1` (the mean over examples), `subset_accuracy` (the share of examples whose
        labels are all correct), `hamming_loss` (the share of wrong labels), `loss`, `ece`,
        `average_precision` and `roc_auc` (the means over labels), `constant_baseline_micro_f1`
        (the best that a constant set of labels reaches) and, with other thresholds,
        `untuned_micro_f1` and `untuned_macro_f1`, and scores for every label.
    """
    predicted = given_marks(logits, thresholds)
    scores = multi_label_tally(truth, predicted, logits)
    calibrated = calibration_of_marks(truth, logits)
    areas, precisions = rank_scores(truth, logits)
    baseline = _baseline(truth)
    metrics = {
        **scores.overall(),
        "ece": calibrated.before.ece,
        "constant_baseline_micro_f1": baseline["micro_f1"],
    }
    if thresholds is not None:
        usual = multi_label_tally(truth, given_marks(logits, None), logits)
        metrics |= {f"{UNTUNED}{name}": usual.overall()[name] for name in ("micro_f1", "macro_f1")}
    for name, values in (("roc_auc", areas), ("average_precision", precisions)):
        if (value := mean_of_known(values)) is not None:
            metrics[name] = value
    precision, recall, f1 = _precision_recall_f1(truth, predicted, axis=0)
    return Metrics(
        split=split,
        num_examples=len(truth),
        metrics=metrics,
        intervals=scores.intervals(),
        baseline=baseline,
        per_class=[
            ClassScores(
                label=name,
                precision=precision[i],
                recall=recall[i],
                f1=f1[i],
                support=int(truth[:, i].sum()),
                roc_auc=areas[i],
                average_precision=precisions[i],
                threshold=thresholds[i] if thresholds else DEFAULT_THRESHOLD,
            )
            for i, name in enumerate(label_names)
        ],
        confusion_matrix=[],
        label_names=label_names,
        calibration=calibrated,
    )


def given_marks(logits: np.ndarray, thresholds: list[float] | None) -> np.ndarray:
    """The predicted labels: bool, shape [examples, labels]."""
    if thresholds is None:
        return logits > 0  # a sigmoid above 0.5, without rounding
    marks: np.ndarray = expit(logits) > np.asarray(thresholds)
    return marks


def multi_label_tally(truth: np.ndarray, predicted: np.ndarray, logits: np.ndarray) -> Tally:
    """F1, precision, recall, exact matches, Hamming loss and loss of any weighting.

    Args:
        truth: Bool, shape [examples, labels].
        predicted: Bool, shape [examples, labels].
        logits: Float64, shape [examples, labels].
    """
    count = truth.shape[1]
    wrong = truth != predicted
    columns = stack(
        truth,
        predicted,
        truth & predicted,
        np.ones(len(truth)),
        _precision_recall_f1(truth, predicted, axis=1, empty=1)[2],
        ~wrong.any(axis=1),
        wrong.mean(axis=1),
        -log_expit(np.where(truth, logits, -logits)).mean(axis=1),
    )

    def scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
        true, given, right = (sums[:, i * count : (i + 1) * count] for i in range(3))
        total, samples_f1, exact, wrong, loss = sums[:, 3 * count :].T
        f1 = share(2 * right, true + given)
        all_true, all_given, all_right = (s.sum(axis=1) for s in (true, given, right))
        return {
            "micro_f1": share(2 * all_right, all_true + all_given),
            "micro_precision": share(all_right, all_given),
            "micro_recall": share(all_right, all_true),
            "macro_f1": share(f1.sum(axis=1), (true + given > 0).sum(axis=1)),
            "weighted_f1": share((f1 * true).sum(axis=1), all_true),
            "samples_f1": share(samples_f1, total),
            "subset_accuracy": share(exact, total),
            "hamming_loss": share(wrong, total),
            "loss": share(loss, total),
        }

    return Tally(columns, scores_of)


def _baseline(truth: np.ndarray) -> dict[str, float]:
    """Scores of always predicting the same labels, those with the best micro-F1."""
    support = truth.sum(axis=0)
    order = np.argsort(-support, kind="stable")
    given = np.arange(1, len(support) + 1) * len(
        truth
    )  # predictions, if they are the first 1, 2, ... labels
    f1 = share(2 * support[order].cumsum(), given + support.sum())
    always = np.zeros_like(truth)
    always[:, order[: int(f1.argmax()) + 1]] = True
    frequency = np.clip(support / len(truth), 1e-9, 1 - 1e-9)
    odds = np.broadcast_to(np.log(frequency / (1 - frequency)), truth.shape)
    return multi_label_tally(truth, always, odds).overall()


def _precision_recall_f1(
    truth: np.ndarray, predicted: np.ndarray, axis: int, empty: float = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of 0/1 marks summed over an axis; `empty` if there is nothing to count."""
    right, true, given = (m.sum(axis=axis) for m in (truth & predicted, truth, predicted))
    return (
        share(right, given, empty),
        share(right, true, empty),
        share(2 * right, true + given, empty),
    )
