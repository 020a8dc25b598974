"""The numbers of a single-label text classifier on one split."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from kfp_finetune.components.artifacts.metrics import ClassScores, Metrics
from kfp_finetune.components.errors import InputError


def _single_label(
    labels: np.ndarray, logits: np.ndarray, label_names: list[str], split: str
) -> Metrics:
    """Measure predictions against labels.

    The predicted label is the one with the largest logit (the first of equal ones). `loss` is the
    mean cross-entropy in nats, from a float64 log-softmax. The macro and weighted averages are
    scikit-learn's: they run over the labels that occur in the split or among the predictions, so
    a label of the model that this split does not know does not pull them down.

    Args:
        labels: Label ids, shape [examples], each at least 0 and less than `len(label_names)`.
        logits: Model outputs before softmax, shape [examples, labels], any float type.
        label_names: The label of id i is `label_names[i]`.
        split: The split's name, for the result and for messages.

    Returns:
        Scalars `accuracy`, `macro_f1`, `weighted_f1`, `macro_precision`, `macro_recall`, `loss`
        and `majority_baseline_accuracy` (the share of the most frequent label), scores for every
        label (0 where they are undefined), and the confusion matrix.

    Raises:
        InputError: If the split is empty, the shapes or the label ids do not fit the label names,
            or a logit is not finite.
    """
    labels = np.asarray(labels)
    logits = np.asarray(logits, dtype=np.float64)
    _check(labels, logits, len(label_names), split)

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


def _check(labels: np.ndarray, logits: np.ndarray, num_labels: int, split: str) -> None:
    where = f"the {split} split"
    if len(labels) == 0:
        raise InputError(
            f"the {split} split is empty",
            where=where,
            expected="at least one example to measure on",
            remedy="give a larger dataset, or a larger share for this split",
        )
    if labels.shape != (len(logits),) or logits.shape != (len(labels), num_labels):
        raise InputError(
            f"labels of shape {list(labels.shape)} and logits of shape {list(logits.shape)}",
            where=where,
            expected=f"[examples] and [examples, {num_labels}], one column per label name",
            remedy="evaluate a model on data with the labels it was trained for",
        )
    if labels.min() < 0 or labels.max() >= num_labels:
        raise InputError(
            f"label ids from {labels.min()} to {labels.max()}",
            where=where,
            expected=f"ids from 0 to {num_labels - 1}, one per label name",
            remedy="evaluate a model on data with the labels it was trained for",
        )
    if broken := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise InputError(
            f"the model's outputs are not finite for {broken:,} of {len(labels):,} examples",
            where=where,
            expected="finite numbers; NaN or infinite ones mean that training diverged",
            remedy="train again with a lower learning_rate, with warmup, or with max_grad_norm",
        )
