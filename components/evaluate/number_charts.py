"""Charts of predicted numbers: predicted against true, and the distribution of the errors."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.counts import counted
from kfp_finetune.components.number_text import amount_text, count_text
from kfp_finetune.components.pages.charts import ticks

_BINS = 21  # odd, so that the middle one is around 0
_UNITS = 1000


def number_charts(metrics: Metrics) -> dict[str, Any] | None:
    """The geometry of both charts; None unless predictions are numbers.

    Args:
        metrics: The metrics of the split.
    """
    pairs = metrics.predicted_numbers
    if pairs is None:
        return None
    true, predicted = np.array(pairs.labels), np.array(pairs.predicted)
    low = float(min(true.min(), predicted.min()))
    high = float(max(true.max(), predicted.max()))
    span = (high - low) or 1.0
    low, span = low - span * 0.04, span * 1.08

    def across(values: np.ndarray) -> np.ndarray:
        return (values - low) / span * _UNITS

    points = zip(across(true).tolist(), (_UNITS - across(predicted)).tolist(), strict=True)
    shown = counted(len(true), "example")
    if len(true) < metrics.num_examples:
        shown += f" of {count_text(metrics.num_examples)}"
    correlations = [
        f"{name.capitalize()} {metrics.metrics[name]:.3f}"
        for name in ("pearson", "spearman")
        if name in metrics.metrics
    ]
    return {
        "lead": "Points on the dashed line are exact. A flat cloud means that the model answers"
        " nearly the same number to every text.",
        "legend": ", ".join([shown, *correlations]),
        "description": f"Predicted against true numbers of {shown}: true from"
        f" {amount_text(true.min())} to {amount_text(true.max())}, predicted from"
        f" {amount_text(predicted.min())} to {amount_text(predicted.max())}"
        + "".join(f", {text}" for text in correlations),
        "points": "".join(f"M{x:.0f} {y:.0f}h0" for x, y in points),
        "ticks": [((t - low) / span, f"{t:g}") for t in ticks(low, low + span, 5)],
        **_errors(predicted - true),
    }


def _errors(errors: np.ndarray) -> dict[str, Any]:
    """A histogram of the errors, symmetric around 0."""
    widest = float(np.abs(errors).max()) or 1.0
    edges = np.linspace(-widest, widest, _BINS + 1)
    counts = np.histogram(errors, edges)[0]
    top = float(counts.max()) * 1.08
    between = [f"{amount_text(a)} to {amount_text(b)}" for a, b in pairwise(edges.tolist())]
    width = 1 / _BINS
    return {
        "errors": [
            {
                "x": i * width,
                "width": width,
                "height": count / top,
                "tooltip": [counted(count, "example"), f"error {between[i]}"],
            }
            for i, count in enumerate(counts.tolist())
        ],
        "errors_description": "Errors: "
        + "; ".join(f"{between[i]}: {count}" for i, count in enumerate(counts.tolist()) if count),
        "count_ticks": [(t / top, count_text(t)) for t in ticks(0, top, 4, whole=True)],
        "error_ticks": [((t + widest) / (2 * widest), f"{t:g}") for t in ticks(-widest, widest, 4)],
        "zero": 0.5,
    }
