"""What a text classifier's outputs are worth on one split, whatever the problem type."""

from __future__ import annotations

import numpy as np

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, SINGLE_LABEL, num_outputs
from kfp_finetune.components.tasks.scores.checks import check
from kfp_finetune.components.tasks.scores.multi_label import (
    given_marks,
    multi_label,
    multi_label_tally,
)
from kfp_finetune.components.tasks.scores.regression import regression, regression_tally
from kfp_finetune.components.tasks.scores.single_label import single_label, single_label_tally
from kfp_finetune.components.tasks.scores.tally import Tally


def measure(
    problem_type: str,
    labels: np.ndarray,
    logits: np.ndarray,
    label_names: list[str],
    split: str,
    *,
    temperature: float = 1.0,
    thresholds: list[float] | None = None,
) -> Metrics:
    """Measure a model's outputs against the true labels.

    Every scalar is finite. `loss` is what training minimizes, in float64.

    Args:
        problem_type: One of `PROBLEM_TYPES`.
        labels: As `text_classification.targets` gives them. Single-label: ids, shape [examples].
            Multi-label: 0 or 1, shape [examples, labels]. Regression: shape [examples, 1].
        logits: Model outputs before softmax or sigmoid, shape [examples, labels] (regression:
            the predictions, shape [examples, 1]), any float type.
        label_names: The label of id i is `label_names[i]`; empty for regression.
        split: The split's name, for the result and for messages.
        temperature: Single-label: what logits are divided by for calibrated probabilities.
        thresholds: Multi-label: the probability of every label above which it is given; None: 0.5.

    Returns:
        The scalars that `single_label`, `multi_label` and `regression` name, with intervals and a
        baseline, scores for every label, and for single-label the confusion matrix.

    Raises:
        InputError: If the split is empty, the shapes or the labels do not fit the label names, or
            a label or a logit is not finite.
    """
    labels = np.asarray(labels)
    check(problem_type, labels, logits, num_outputs(label_names), split)
    if problem_type == SINGLE_LABEL:
        return single_label(labels, logits, label_names, split, temperature)
    logits = np.asarray(logits, dtype=np.float64)
    if problem_type == MULTI_LABEL:
        return multi_label(labels == 1, logits, label_names, split, thresholds)
    return regression(labels[:, 0].astype(np.float64), logits[:, 0], split)


def tally(
    problem_type: str, labels: np.ndarray, logits: np.ndarray, thresholds: list[float] | None
) -> Tally:
    """The scores of any weighting of the examples, such as a slice; arguments as `measure`'s."""
    if problem_type == SINGLE_LABEL:
        return single_label_tally(labels, logits)
    logits = np.asarray(logits, dtype=np.float64)
    if problem_type == MULTI_LABEL:
        return multi_label_tally(labels == 1, given_marks(logits, thresholds), logits)
    return regression_tally(labels[:, 0].astype(np.float64), logits[:, 0])
