"""Check that labels and logits can be measured."""

from __future__ import annotations

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.scores.pieces import pieces
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)


def check(
    problem_type: str, labels: np.ndarray, logits: np.ndarray, outputs: int, split: str
) -> None:
    """Check the arguments of `measure`.

    Raises:
        InputError: If the split is empty, the shapes or the labels do not fit the number of
            outputs, or a label or a logit is not finite.
    """
    where = f"the {split} split"
    if len(labels) == 0:
        raise InputError(
            f"the {split} split is empty",
            where=where,
            expected="at least one example to measure on",
            remedy="use a larger dataset, or a larger share for this split",
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
    if broken := sum(int((~np.isfinite(p)).any(axis=1).sum()) for _, p in pieces(logits)):
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
            remedy="fix the values, or drop their rows",
        )
