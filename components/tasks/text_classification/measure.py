"""Measure the logits of a text classifier on one split."""

from __future__ import annotations

import numpy as np

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.tasks.labels import num_outputs
from kfp_finetune.components.tasks.scores.single_label import single_label, single_label_tally
from kfp_finetune.components.tasks.scores.tally import Tally
from kfp_finetune.components.tasks.text_classification.checks import check
from kfp_finetune.components.tasks.text_classification.multi_label import (
    given_marks,
    multi_label,
    multi_label_tally,
)
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.text_classification.regression import (
    regression,
    regression_tally,
)


def measure(
    problem_type: str,
    labels: np.ndarray,
    logits: np.ndarray,
    label_names: list[str],
    split: str,
    *,
    temperature: float = 1.0,
    thresholds: list[float] | None = None,
    positive_label: str | None = None,
) -> Metrics:
    """Measure a model's outputs against the true labels.

    Every scalar is finite. `loss` is what training minimizes, in float64.

    Args:
        problem_type: One of text classification's.
        labels: As `Task.targets` returns them. Single-label: ids, shape [examples].
            Multi-label: 0 or 1, shape [examples, labels]. Regression: shape [examples, 1].
        logits: Model outputs before softmax or sigmoid, shape [examples, labels] (regression:
            the predictions, shape [examples, 1]), any float type.
        label_names: The label of id i is `label_names[i]`; empty for regression.
        split: The split's name, for the result and for messages.
        temperature: Single-label: logits are divided by it for calibrated probabilities.
        thresholds: Multi-label: probabilities above which labels are predicted; None: 0.5.
        positive_label: Single-label: the positive one of two labels; None if there is none.

    Returns:
        The scalars documented by `single_label`, `multi_label` and `regression`, with intervals and
        a baseline, scores for every label, and for single-label the confusion matrix.

    Raises:
        InputError: If the split is empty, the shapes or the labels do not fit the label names, or
            a label or a logit is not finite.
    """
    labels = np.asarray(labels)
    check(problem_type, labels, logits, num_outputs(label_names), split)
    if problem_type == SINGLE_LABEL:
        return single_label(labels, logits, label_names, split, temperature, positive_label)
    logits = np.asarray(logits, dtype=np.float64)
    if problem_type == MULTI_LABEL:
        return multi_label(labels == 1, logits, label_names, split, thresholds)
    return regression(labels[:, 0].astype(np.float64), logits[:, 0], split)


def tally(
    problem_type: str,
    labels: np.ndarray,
    logits: np.ndarray,
    thresholds: list[float] | None,
    positive: int | None = None,
) -> Tally:
    """The scores of any weighting of the examples, such as a slice.

    Arguments as in `measure`, and the id of the positive label.
    """
    if problem_type == SINGLE_LABEL:
        return single_label_tally(labels, logits, positive)
    logits = np.asarray(logits, dtype=np.float64)
    if problem_type == MULTI_LABEL:
        return multi_label_tally(labels == 1, given_marks(logits, thresholds), logits)
    return regression_tally(labels[:, 0].astype(np.float64), logits[:, 0])
