"""The learning-rate range test: find a peak learning rate from the loss under a rising rate.

The rate rises exponentially from far too low to far too high while the model trains (Smith,
1506.01186; the exponential rise and the tenth of the best rate come from fastai).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.number_text import count_text, number_text, rate_text
from kfp_finetune.components.pages.charts import Note, Series, line_chart
from kfp_finetune.components.pages.page import templates

LOWEST, HIGHEST, STEPS = 1e-7, 1.0, 200
# The parameters of build_optimizer and finetune; the test usually ends with a divergence.
PARAMETERS: dict[str, Any] = {
    "lr_scheduler_type": "exponential",
    "learning_rate": LOWEST,
    "decay_rate": HIGHEST / LOWEST,
    "max_steps": STEPS,
    "on_divergence": "report",
}
_SMOOTHING = 0.9  # factor of the exponential mean
_WORSE = 1.3  # times the lowest loss: from there on the model diverges
_BELOW_THE_BEST = 10  # the peak is this many times lower
_LEARNED = 0.97


@dataclass(frozen=True)
class RangeTest:
    """The result of a range test.

    Attributes:
        learning_rate: The suggested peak, to one digit.
        reason: The reason, as a sentence.
        rates: The rate of every update until the loss became far worse, shape [updates].
        losses: The losses of these updates.
        smooth: The losses, smoothed.
        best: The index of the lowest smoothed loss.
    """

    learning_rate: float
    reason: str
    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    best: int


def read_range_test(records: Sequence[dict[str, Any]]) -> RangeTest:
    """Find the peak in the training log of a test.

    Args:
        records: As `artifacts.model.write_training_log` documents them.

    Raises:
        InputError: If no rate made the loss fall.
    """
    updates = [r for r in records if "learning_rate" in r and math.isfinite(r["loss"])]
    rates = np.array([r["learning_rate"] for r in updates])
    losses = np.array([r["loss"] for r in updates])
    smooth = _smoothed(losses)
    lowest = np.minimum.accumulate(smooth)
    worse = np.flatnonzero(smooth > _WORSE * lowest)
    end = int(worse[0]) if len(worse) else len(smooth)
    best = int(smooth[:end].argmin()) if end else 0
    if not end or smooth[best] > _LEARNED * smooth[0]:
        raise InputError(
            "the loss did not fall at any learning rate",
            where=f"rates from {LOWEST:g} to {HIGHEST:g}",
            expected="a model that learns from the data",
            remedy="check the labels with kfp-finetune check, or set --learning-rate",
        )
    found = float(f"{rates[best] / _BELOW_THE_BEST:.0e}")
    reason = (
        f"the loss was lowest, {number_text(smooth[best])}, at a rate of"
        f" {rate_text(rates[best])}; the suggested peak is a tenth of that, where the loss falls"
        " with a margin before it rises"
    )
    return RangeTest(found, reason, rates[:end], losses[:end], smooth[:end], best)


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """The exponential mean without the bias of its start (1412.6980, section 3)."""
    mean, found = 0.0, []
    for i, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        found.append(mean / (1 - _SMOOTHING**i))
    return np.array(found)


def render_range_test(test: RangeTest) -> str:
    """The test as a self-contained HTML page."""
    steps = np.arange(len(test.rates))
    at = int(np.searchsorted(test.rates, test.learning_rate).clip(0, len(steps) - 1))
    notes = [
        Note(i, float(test.smooth[i]), rate_text(rate), caption, f"step {count_text(i)}")
        for i, rate, caption in (
            (at, test.learning_rate, "suggested peak"),
            (test.best, test.rates[test.best], "lowest loss"),
        )
    ]
    chart = line_chart(
        "Loss while the rate rises",
        [
            Series("each step", steps, test.losses, "faint"),
            Series("smoothed", steps, test.smooth),
        ],
        text=number_text,
        axis=number_text,
        top=float(test.losses.max()) * 1.3,
        last_step=len(steps),
        height=320,
        notes=notes,
    )
    marks = list(range(0, len(steps), max(1, len(steps) // 10)))
    page = templates(Path(__file__).parent).get_template("range_test.html.jinja")
    return page.render(
        peak=rate_text(test.learning_rate),
        reason=test.reason,
        chart=chart,
        rows=[(i, rate_text(test.rates[i]), number_text(test.smooth[i])) for i in marks],
    )
