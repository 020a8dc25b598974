"""The numbers of a text classifier on one split: classes, several labels per text, or amounts."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
)

from kfp_finetune.components.artifacts.metrics import ClassScores, Metrics
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from kfp_finetune.components.tasks.text_classification import num_outputs


def measure(
    problem_type: str, labels: np.ndarray, logits: np.ndarray, label_names: list[str], split: str
) -> Metrics:
    """Measure a model's outputs against the true labels.

    Every scalar is finite. `loss` is what training minimizes, in float64.

    Args:
        problem_type: One of `labels.PROBLEM_TYPES`.
        labels: As `text_classification.targets` gives them. Single-label: ids, shape [examples].
            Multi-label: 0 or 1, shape [examples, labels]. Regression: shape [examples, 1].
        logits: Model outputs before softmax or sigmoid, shape [examples, labels] (regression:
            the predictions, shape [examples, 1]), any float type.
        label_names: The label of id i is `label_names[i]`; empty for regression.
        split: The split's name, for the result and for messages.

    Returns:
        The scalars that `_single_label`, `_multi_label` and `_regression` name, scores for every
        label, and for single-label the confusion matrix.

    Raises:
        InputError: If the split is empty, the shapes or the labels do not fit the label names, or
            a label or a logit is not finite.
    """
    measures = {SINGLE_LABEL: _single_label, MULTI_LABEL: _multi_label, REGRESSION: _regression}
    labels = np.asarray(labels)
    logits = np.asarray(logits, dtype=np.float64)
    _check(problem_type, labels, logits, num_outputs(label_names), split)
    return measures[problem_type](labels, logits, label_names, split)


def _single_label(
    labels: np.ndarray, logits: np.ndarray, label_names: list[str], split: str
) -> Metrics:
    """Measure classes.

    The predicted label is the one with the largest logit (the first of equal ones). `loss` is the
    mean cross-entropy in nats, from a float64 log-softmax. The macro and weighted averages are
    scikit-learn's: they run over the labels that occur in the split or among the predictions, so
    a label of the model that this split does not know does not pull them down.

    Returns:
        Scalars `accuracy`, `macro_f1`, `weighted_f1`, `macro_precision`, `macro_recall`, `loss`
        and `majority_baseline_accuracy` (the share of the most frequent label), scores for every
        label (0 where they are undefined), and the confusion matrix.
    """
    predicted = logits.argmax(axis=1)
    ids = np.arange(len(label_names))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=ids, zero_division=0
    )
    macro = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    weighted = precision_recall_fscore_support(
        labels, predicted, average="weighted", zero_division=0
    )
    log_probabilities = log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    return Metrics(
        split=split,
        num_examples=len(labels),
        metrics={
            "accuracy": float(accuracy_score(labels, predicted)),
            "macro_f1": float(macro[2]),
            "weighted_f1": float(weighted[2]),
            "macro_precision": float(macro[0]),
            "macro_recall": float(macro[1]),
            "loss": float(-log_probabilities.mean()),
            "majority_baseline_accuracy": float(support.max() / len(labels)),
        },
        per_class=[
            ClassScores(label=name, precision=p, recall=r, f1=f, support=s)
            for name, p, r, f, s in zip(label_names, precision, recall, f1, support, strict=True)
        ],
        confusion_matrix=confusion_matrix(labels, predicted, labels=ids).tolist(),
        label_names=label_names,
    )


def _multi_label(
    labels: np.ndarray, logits: np.ndarray, label_names: list[str], split: str
) -> Metrics:
    """Measure several labels per example.

    A label is predicted where its sigmoid is above 0.5. `loss` is the binary cross-entropy in
    nats, averaged over labels and examples. The averages over labels run over those that occur in
    the split or among the predictions, as they do for a single label. An example that has no label
    and is given none counts as right in `samples_f1`; anything else undefined is 0. The counts are
    made here because scikit-learn takes a single label's column for two classes.

    Returns:
        Scalars `micro_f1`, `micro_precision`, `micro_recall`, `macro_f1`, `weighted_f1`,
        `samples_f1` (the mean over examples), `subset_accuracy` (the share of examples whose
        labels are all right), `hamming_loss` (the share of wrong marks), `loss` and
        `constant_baseline_micro_f1` (the best that giving every example the same labels reaches),
        and scores for every label.
    """
    truth, predicted = labels == 1, logits > 0
    micro_precision, micro_recall, micro_f1 = _precision_recall_f1(truth, predicted)
    precision, recall, f1 = _precision_recall_f1(truth, predicted, axis=0)
    support, wrong = truth.sum(axis=0), truth != predicted
    occurs = truth.any(axis=0) | predicted.any(axis=0)
    given = np.arange(1, len(support) + 1) * len(labels)  # marks, giving the first 1, 2, ... labels
    constant_f1 = _share(2 * np.sort(support)[::-1].cumsum(), given + support.sum())
    return Metrics(
        split=split,
        num_examples=len(labels),
        metrics={
            "micro_f1": float(micro_f1),
            "micro_precision": float(micro_precision),
            "micro_recall": float(micro_recall),
            "macro_f1": float(_share(f1[occurs].sum(), occurs.sum())),
            "weighted_f1": float(_share(f1 @ support, support.sum())),
            "samples_f1": float(_precision_recall_f1(truth, predicted, axis=1, empty=1)[2].mean()),
            "subset_accuracy": float(1 - wrong.any(axis=1).mean()),
            "hamming_loss": float(wrong.mean()),
            "loss": float(np.logaddexp(0, np.where(truth, -logits, logits)).mean()),
            "constant_baseline_micro_f1": float(constant_f1.max()),
        },
        per_class=[
            ClassScores(label=name, precision=p, recall=r, f1=f, support=s)
            for name, p, r, f, s in zip(label_names, precision, recall, f1, support, strict=True)
        ],
        confusion_matrix=[],
        label_names=label_names,
    )


def _regression(
    labels: np.ndarray, logits: np.ndarray, label_names: list[str], split: str
) -> Metrics:
    """Measure amounts.

    Returns:
        Scalars `mae`, `rmse`, `loss` (the mean squared error), `mean_baseline_mae` (the mean
        absolute error of always predicting the split's mean) and, unless all labels are equal,
        `r2`; unless all labels or all predictions are, also `pearson` and `spearman`.
    """
    true, predicted = labels[:, 0].astype(np.float64), logits[:, 0]
    loss = float(mean_squared_error(true, predicted))
    metrics = {
        "mae": float(mean_absolute_error(true, predicted)),
        "rmse": float(np.sqrt(loss)),
        "loss": loss,
        "mean_baseline_mae": float(np.abs(true - true.mean()).mean()),
    }
    if np.ptp(true) > 0:
        metrics["r2"] = float(r2_score(true, predicted))
        if np.ptp(predicted) > 0:
            metrics["pearson"] = float(pearsonr(true, predicted).statistic)
            metrics["spearman"] = float(spearmanr(true, predicted).statistic)
    return Metrics(
        split=split,
        num_examples=len(labels),
        metrics=metrics,
        per_class=[],
        confusion_matrix=[],
        label_names=label_names,
    )


def _precision_recall_f1(
    truth: np.ndarray, predicted: np.ndarray, axis: int | None = None, empty: float = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of 0/1 marks summed over an axis; `empty` where there is nothing to count."""
    right, true, given = (m.sum(axis=axis) for m in (truth & predicted, truth, predicted))
    return (
        _share(right, given, empty),
        _share(right, true, empty),
        _share(2 * right, true + given, empty),
    )


def _share(part: np.ndarray, whole: np.ndarray, empty: float = 0) -> np.ndarray:
    shares: np.ndarray = np.full(np.shape(whole), float(empty))
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _check(
    problem_type: str, labels: np.ndarray, logits: np.ndarray, outputs: int, split: str
) -> None:
    where = f"the {split} split"
    if len(labels) == 0:
        raise InputError(
            f"the {split} split is empty",
            where=where,
            expected="at least one example to measure on",
            remedy="give a larger dataset, or a larger share for this split",
        )
    rows = len(labels)
    expected = (rows,) if problem_type == SINGLE_LABEL else (rows, outputs)
    if labels.shape != expected or logits.shape != (rows, outputs):
        shape = "[examples]" if problem_type == SINGLE_LABEL else f"[examples, {outputs}]"
        unit = "for one number" if problem_type == REGRESSION else "one column per label name"
        raise InputError(
            f"labels of shape {list(labels.shape)} and logits of shape {list(logits.shape)}",
            where=where,
            expected=f"{shape} and [examples, {outputs}], {unit}",
            remedy="evaluate a model on data with the labels it was trained for",
        )
    _check_labels(problem_type, labels, outputs, where)
    if broken := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise InputError(
            f"the model's outputs are not finite for {broken:,} of {rows:,} examples",
            where=where,
            expected="finite numbers; NaN or infinite ones mean that training diverged",
            remedy="train again with a lower learning_rate, with warmup, or with max_grad_norm",
        )


def _check_labels(problem_type: str, labels: np.ndarray, outputs: int, where: str) -> None:
    if problem_type == SINGLE_LABEL and (labels.min() < 0 or labels.max() >= outputs):
        raise InputError(
            f"label ids from {labels.min()} to {labels.max()}",
            where=where,
            expected=f"ids from 0 to {outputs - 1}, one per label name",
            remedy="evaluate a model on data with the labels it was trained for",
        )
    if problem_type == MULTI_LABEL and (odd := int((~np.isin(labels, (0, 1))).sum())):
        raise InputError(
            f"{odd:,} of {labels.size:,} marks are neither 0 nor 1",
            where=where,
            expected="1 for every label of an example, 0 for the others",
            remedy="run load_data again",
        )
    if problem_type == REGRESSION and (broken := int((~np.isfinite(labels)).sum())):
        raise InputError(
            f"the label is not finite for {broken:,} of {len(labels):,} examples",
            where=where,
            expected="a finite number per example",
            remedy="mend the values, or drop their rows",
        )
