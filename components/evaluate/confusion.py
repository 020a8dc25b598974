"""The confusion matrix: for Kubeflow Pipelines, and for the page that draws it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from kfp_finetune.components.artifacts.metrics import Metrics

SHADES = 10
_DRAWN = 500  # labels; a picture of more has cells of less than a pixel
NUMBERS_UP_TO = 20  # labels; beyond, cells are too small to write in


def confusion_matrices(metrics: Metrics) -> list[tuple[list[str], list[list[int]]]]:
    """The label names and the confusion matrix; none where examples do not have one label each.

    The interface of Kubeflow Pipelines shows about 20 labels. Of more, those that are confused most
    have rows and columns of their own, and the others one together.
    """
    matrix = matrix_of(metrics)
    if matrix is None:
        return []
    small, names = _grouped(matrix, metrics.label_names, NUMBERS_UP_TO)
    return [(names, small.toarray().tolist())]


def matrix_of(metrics: Metrics) -> csr_array | None:
    """The confusion matrix; None where examples do not have one label each."""
    if metrics.confusion_matrix:
        return csr_array(np.array(metrics.confusion_matrix, dtype=np.int64))
    if not metrics.confusion_cells:
        return None
    rows, columns, counts = np.array(metrics.confusion_cells, dtype=np.int64).T
    size = len(metrics.label_names)
    return csr_array((counts, (rows, columns)), shape=(size, size))


def _grouped(matrix: csr_array, names: list[str], most: int) -> tuple[csr_array, list[str]]:
    """A matrix of so many rows at most: the most confused labels, and the others as one."""
    if len(names) <= most:
        return matrix, names
    chosen = np.sort(by_errors(matrix)[: most - 1])
    group = np.full(len(names), len(chosen))
    group[chosen] = np.arange(len(chosen))
    cells = matrix.tocoo()
    size = len(chosen) + 1
    small = csr_array((cells.data, (group[cells.row], group[cells.col])), shape=(size, size))
    small.sum_duplicates()
    return small, [*(names[i] for i in chosen), f"{len(names) - len(chosen)} other labels"]


def by_errors(matrix: np.ndarray | csr_array) -> np.ndarray:
    """Labels by the mistakes that they have a part in, as the true or the given one."""
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    order: np.ndarray = np.argsort(-wrong, kind="stable")
    return order


def roc_curves(metrics: Metrics) -> list[tuple[list[float], list[float], list[float]]]:
    """False and true positive rates and thresholds; none unless there are two labels."""
    curve = metrics.roc_curve
    if curve is None:
        return []
    return [(curve.false_positive_rates, curve.true_positive_rates, curve.thresholds)]


def confusion_picture(metrics: Metrics) -> dict[str, Any] | None:
    """What report.js.jinja draws the confusion matrix from, in whatever order is asked for.

    A cell's shade is its share of the row, the examples of one true label. Mistakes are shaded by
    the square root of that share, because one in fifty should still be seen.

    Returns:
        Labels, the counts of every row as [column, count] pairs, the labels' places in order of
        their mistakes, and how much of the colour each shade shows; None without a matrix. Of more
        than 500 labels those that are confused most, and the others as one.
    """
    whole = matrix_of(metrics)
    if whole is None:
        return None
    matrix, names = _grouped(whole, metrics.label_names, _DRAWN)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    size = len(names)
    starts, columns, counts = (
        part.tolist() for part in (matrix.indptr, matrix.indices, matrix.data)
    )
    rows = [
        [[columns[at], counts[at]] for at in range(starts[i], starts[i + 1])] for i in range(size)
    ]
    return {
        "labels": names,
        "size": size,
        "scale": "large" if size > NUMBERS_UP_TO else "medium" if size > 8 else "small",
        "rows": rows,
        "by_errors": by_errors(matrix).tolist(),
        "shades": [round(0.1 + 0.9 * shade / SHADES, 2) for shade in range(1, SHADES + 1)],
    }
