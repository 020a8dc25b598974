"""The confusion matrix, and its picture: cells as SVG paths by shade, and the largest mistakes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.metrics import Metrics

SHADES = 10
NUMBERS_UP_TO = 20  # labels; beyond, cells are too small to write in
_LARGEST = 10


def confusion_matrices(metrics: Metrics) -> list[tuple[list[str], list[list[int]]]]:
    """The label names and the confusion matrix; none where examples do not have one label each.

    The interface of Kubeflow Pipelines shows about 20 labels. Of more, those that are confused most
    have rows and columns of their own, and the others one together.
    """
    matrix, names = np.array(metrics.confusion_matrix, dtype=np.int64), metrics.label_names
    if len(names) > NUMBERS_UP_TO:
        chosen = np.sort(by_errors(matrix)[: NUMBERS_UP_TO - 1])
        group = np.full(len(names), len(chosen))
        group[chosen] = np.arange(len(chosen))
        small = np.zeros((len(chosen) + 1,) * 2, np.int64)
        np.add.at(small, (group[:, np.newaxis], group), matrix)
        rest = f"{len(names) - len(chosen)} other labels"
        matrix, names = small, [*(names[i] for i in chosen), rest]
    return [(names, matrix.tolist())] if metrics.confusion_matrix else []


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
    """Lay out the confusion matrix for report.html.jinja.

    A cell's shade is its share of the row, the examples of one true label. Mistakes are shaded by
    the square root of that share, because one in fifty should still be seen.

    Returns:
        Paths in units of one cell, numbers to write into cells, the counts of every row as
        [column, count] pairs for the read-out, and the largest mistakes.
    """
    matrix = np.asarray(metrics.confusion_matrix, dtype=np.int64)
    size = len(matrix)
    support = matrix.sum(axis=1)
    gap = 0.03 if size <= NUMBERS_UP_TO else 0.0
    side = f"{1 - 2 * gap:g}"
    shades: dict[tuple[str, int], list[str]] = {}
    numbers = []
    rows: list[list[list[int]]] = [[] for _ in range(size)]
    for row, column in zip(*(index.tolist() for index in matrix.nonzero()), strict=True):
        count = int(matrix[row, column])
        share = count / int(support[row])
        kind = "right" if row == column else "wrong"
        shade = math.ceil((share if kind == "right" else math.sqrt(share)) * SHADES)
        cell = f"M{column + gap:g} {row + gap:g}h{side}v{side}h-{side}z"
        shades.setdefault((kind, shade), []).append(cell)
        rows[row].append([column, count])
        if size <= NUMBERS_UP_TO:
            numbers.append((column + 0.5, row + 0.5, f"{count:,}", shade > SHADES * 0.6))
    return {
        "labels": metrics.label_names,
        "size": size,
        "scale": "large" if size > NUMBERS_UP_TO else "medium" if size > 8 else "small",
        "shades": [
            (kind, f"{opacity(shade):.3g}", "".join(cells))
            for (kind, shade), cells in sorted(shades.items())
        ],
        "key": [f"{opacity(shade):.3g}" for shade in range(2, SHADES + 1, 2)],
        "numbers": numbers,
        "rows": rows,
        "mistakes": _mistakes(matrix, support, metrics.label_names),
        "num_wrong": int(matrix.sum() - matrix.trace()),
    }


def opacity(shade: int) -> float:
    """How much of the colour a shade from 1 to `SHADES` shows."""
    return 0.1 + 0.9 * shade / SHADES


def _mistakes(
    matrix: np.ndarray, support: np.ndarray, names: list[str]
) -> list[tuple[str, str, int, float]]:
    """The largest off-diagonal cells: true label, predicted label, count, share of the label."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    found = [(int(wrong[i, j]), int(i), int(j)) for i, j in zip(*wrong.nonzero(), strict=True)]
    found.sort(key=lambda cell: (-cell[0], cell[1], cell[2]))
    return [(names[i], names[j], n, n / int(support[i])) for n, i, j in found[:_LARGEST]]
