"""The confusion matrix: for Kubeflow Pipelines, and for the page that draws it."""

from __future__ import annotations

from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.metrics import Metrics

SHADES = 10
NUMBERS_UP_TO = 20  # labels; beyond, cells are too small to write in


def confusion_matrices(metrics: Metrics) -> list[tuple[list[str], list[list[int]]]]:
    """The label names and the confusion matrix; none where examples do not have one label each.

    The interface of Kubeflow Pipelines shows about 20 labels. Of more, those that are confused most
    have rows and columns of their own, and the others one together.
    """
    if not metrics.confusion_matrix:
        return []
    matrix, names = np.array(metrics.confusion_matrix, dtype=np.int64), metrics.label_names
    if len(names) > NUMBERS_UP_TO:
        chosen = np.sort(by_errors(matrix)[: NUMBERS_UP_TO - 1])
        group = np.full(len(names), len(chosen))
        group[chosen] = np.arange(len(chosen))
        small = np.zeros((len(chosen) + 1,) * 2, np.int64)
        np.add.at(small, (group[:, np.newaxis], group), matrix)
        rest = f"{len(names) - len(chosen)} other labels"
        matrix, names = small, [*(names[i] for i in chosen), rest]
    return [(names, matrix.tolist())]


def by_errors(matrix: np.ndarray) -> np.ndarray:
    """Labels by the mistakes that they have a part in, as the true or the given one."""
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    return np.argsort(-wrong, kind="stable")


def roc_curves(metrics: Metrics) -> list[tuple[list[float], list[float], list[float]]]:
    """False and true positive rates and thresholds; none unless there are two labels."""
    curve = metrics.roc_curve
    if curve is None:
        return []
    return [(curve.false_positive_rates, curve.true_positive_rates, curve.thresholds)]


def confusion_picture(metrics: Metrics) -> dict[str, Any]:
    """What report.js.jinja draws the confusion matrix from, in whatever order is asked for.

    A cell's shade is its share of the row, the examples of one true label. Mistakes are shaded by
    the square root of that share, because one in fifty should still be seen.

    Returns:
        Labels, the counts of every row as [column, count] pairs, the labels' places in order of
        their mistakes, and how much of the colour each shade shows.
    """
    matrix = np.asarray(metrics.confusion_matrix, dtype=np.int64)
    size = len(matrix)
    columns = [row.nonzero()[0].tolist() for row in matrix]
    return {
        "labels": metrics.label_names,
        "size": size,
        "scale": "large" if size > NUMBERS_UP_TO else "medium" if size > 8 else "small",
        "rows": [[[c, int(matrix[i, c])] for c in found] for i, found in enumerate(columns)],
        "by_errors": by_errors(matrix).tolist(),
        "shades": [round(0.1 + 0.9 * shade / SHADES, 2) for shade in range(1, SHADES + 1)],
    }
