"""The confusion matrix: for Kubeflow Pipelines, and for the page that draws it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from kfp_finetune.components.artifacts.metrics import ConfusedPair, Metrics

SHADES = 10
_PAIRS = 10
_DRAWN = 500  # labels; with more, a cell would be smaller than a pixel
# Pixels of a character in small print, and of the longest name that is shown whole.
_CHARACTER = 6.3
_WIDEST_NAME = 320
# The most labels with large cells. On a phone: pixels of all cells beside names, and the letters
# and the height of a line of a name. Without room for the names, the matrix is a picture.
_NAMED, _PHONE, _LETTERS, _LINE = 8, 230, 14, 14
NUMBERS_UP_TO = 20  # labels; beyond, cells are too small to write in


def confusion_matrices(metrics: Metrics) -> list[tuple[list[str], list[list[int]]]]:
    """The label names and the confusion matrix; empty unless every example has one label.

    The interface of Kubeflow Pipelines shows about 20 labels. With more, the most confused labels
    have separate rows and columns, and the others share one.
    """
    matrix = matrix_of(metrics)
    if matrix is None:
        return []
    small, names = _grouped(matrix, metrics.label_names, NUMBERS_UP_TO)
    return [(names, small.toarray().tolist())]


def matrix_of(metrics: Metrics) -> csr_array | None:
    """The confusion matrix; None unless every example has one label."""
    if metrics.confusion_matrix:
        return csr_array(np.array(metrics.confusion_matrix, dtype=np.int64))
    if not metrics.confusion_cells:
        return None
    rows, columns, counts = np.array(metrics.confusion_cells, dtype=np.int64).T
    size = len(metrics.label_names)
    return csr_array((counts, (rows, columns)), shape=(size, size))


def _grouped(matrix: csr_array, names: list[str], most: int) -> tuple[csr_array, list[str]]:
    """A matrix of at most this many rows: the most confused labels, and the others as one."""
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
    """Labels by their mistakes, as the true or the predicted label, the most first."""
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    order: np.ndarray = np.argsort(-wrong, kind="stable")
    return order


def confused_pairs(metrics: Metrics) -> list[ConfusedPair]:
    """The most frequent confusions; those of tagged words have no examples."""
    matrix = matrix_of(metrics)
    if metrics.confused_pairs or matrix is None:
        return metrics.confused_pairs
    cells, totals, names = matrix.tocoo(), matrix.sum(axis=1), metrics.label_names
    wrong = np.flatnonzero((cells.row != cells.col) & (cells.data > 0))
    most = wrong[np.argsort(-cells.data[wrong], kind="stable")][:_PAIRS]
    triples = np.stack([cells.row, cells.col, cells.data])[:, most].T.tolist()
    return [
        ConfusedPair(
            label=names[row],
            predicted=names[column],
            count=count,
            share=count / totals[row],
            examples=[],
        )
        for row, column, count in triples
    ]


def roc_curves(metrics: Metrics) -> list[tuple[list[float], list[float], list[float]]]:
    """False and true positive rates and thresholds; empty unless there are two labels."""
    curve = metrics.roc_curve
    if curve is None:
        return []
    return [(curve.false_positive_rates, curve.true_positive_rates, curve.thresholds)]


def confusion_picture(metrics: Metrics) -> dict[str, Any] | None:
    """The data from which report.js.jinja draws the confusion matrix in any order.

    The shade of a cell is its share of the row, the examples of one true label. Mistakes are shaded
    by the square root of that share, so that one in fifty is still visible.

    Returns:
        Labels, the counts of every row as [column, count] pairs, the labels' positions in order of
        their mistakes, the opacity of each shade, and whether a phone has no room for the names;
        None without a matrix. With more than 500 labels the most confused ones, and the others as
        one.
    """
    whole = matrix_of(metrics)
    if whole is None:
        return None
    matrix, names = _grouped(whole, metrics.label_names, _DRAWN)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    size, longest = len(names), max(map(len, names))
    starts, columns, counts = (
        part.tolist() for part in (matrix.indptr, matrix.indices, matrix.data)
    )
    rows = [
        [[columns[at], counts[at]] for at in range(starts[i], starts[i + 1])] for i in range(size)
    ]
    return {
        "labels": names,
        "size": size,
        "picture": size > _NAMED or longest > _LETTERS * (min(_PHONE / size, 60) // _LINE),
        "scale": "large" if size > NUMBERS_UP_TO else "medium" if size > _NAMED else "small",
        "rows": rows,
        "name_width": min(int(longest * _CHARACTER) + 10, _WIDEST_NAME),
        "by_errors": by_errors(matrix).tolist(),
        "shades": [round(0.1 + 0.9 * shade / SHADES, 2) for shade in range(1, SHADES + 1)],
    }
