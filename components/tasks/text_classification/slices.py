"""Scores of parts of a split: by length, by label and by the values of columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from kfp_finetune.components.artifacts.metrics import Slice
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.tokenized_dataset import slice_name
from kfp_finetune.components.number_text import edge_text
from kfp_finetune.components.tasks.predictions import Predictions
from kfp_finetune.components.tasks.scores.slices import (
    LABEL,
    by_column,
    by_group,
    by_length,
    by_membership,
)
from kfp_finetune.components.tasks.scores.tally import Tally
from kfp_finetune.components.tasks.text_classification.measure import tally
from kfp_finetune.components.tasks.text_classification.problem_types import MULTI_LABEL, REGRESSION

_QUARTERS = 4
# Averages over labels mean nothing for the examples of one label.
_OF_A_LABEL = ("accuracy", "micro_f1", "subset_accuracy", "loss", "mae", "rmse", "mean_error")


def score_slices(
    predictions: Predictions, model: ModelManifest, columns: Sequence[str], max_length: int
) -> list[Slice]:
    """Score every slice with at least one example.

    Args:
        predictions: The predictions of the split.
        model: The model's manifest.
        columns: The slice columns of the split.
        max_length: Tokens at which texts were truncated.

    Returns:
        By length, by label (for numbers: by quarters of their range of values), and by each
        column's values, the most frequent first.
    """
    scored = tally(model.problem_type, predictions.labels, predictions.logits, model.thresholds)
    found = by_length(scored, predictions.lengths, max_length)
    found += [
        part.model_copy(
            update={"metrics": {n: v for n, v in part.metrics.items() if n in _OF_A_LABEL}}
        )
        for part in _by_label(scored, predictions, model)
    ]
    for column in columns:
        found += by_column(scored, column, predictions.table[slice_name(column)].to_pylist())
    return found


def _by_label(scored: Tally, predictions: Predictions, model: ModelManifest) -> list[Slice]:
    labels = predictions.labels
    if model.problem_type == MULTI_LABEL:
        return by_membership(scored, LABEL, csr_array(labels.T), model.label_names)
    if model.problem_type != REGRESSION:
        return by_group(scored, LABEL, labels, model.label_names)
    values = labels[:, 0]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _QUARTERS + 1)))
    names = [f"{edge_text(low)} to {edge_text(high)}" for low, high in pairwise(edges)]
    quarters = np.searchsorted(edges[1:-1], values)
    return by_group(scored, LABEL, quarters, names or [edge_text(edges[0])])
