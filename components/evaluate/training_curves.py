"""The curves of a training log: rates as they were applied, losses, a validation metric."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.build_optimizer.curve import curve_chart, turns, updates_text
from kfp_finetune.components.evaluate.headline import headline
from kfp_finetune.components.load_data.sampling import stride
from kfp_finetune.components.pages.charts import Series, line_chart, thin
from kfp_finetune.components.pages.page import count_text, number_text


def training_curves(
    records: list[dict[str, Any]], model: ModelManifest
) -> list[tuple[dict[str, Any], str]]:
    """The charts of the training log, each with a note to stand under it."""
    updates = [r for r in records if "learning_rate" in r]
    checks = [r for r in records if "validation" in r]
    planned = model.num_train_steps
    charts = []
    if updates:
        rates = np.array([r["learning_rate"] for r in updates], dtype=np.float64)
        chart = curve_chart(
            "Learning rate applied",
            rates,
            turns(model.optimizer.schedule),
            planned,
            steps=[r["step"] for r in updates],
        )
        stopped = model.stopped_at
        reason = (
            f"Training stopped after update {count_text(stopped.step)}: {stopped.reason}."
            if stopped
            else ""
        )
        charts.append((chart, reason))
    steps, losses, lost = _finite(updates, lambda r: r.get("loss"))
    lines = []
    if len(losses):
        window = max(1, len(losses) // 40)
        every = stride(planned)
        each = "each update" if every == 1 else f"one update in {count_text(every)}"
        chosen = thin(losses)
        smooth = _smooth(losses, window)
        lines = [
            Series(f"training, {each}", steps[chosen], losses[chosen], "faint"),
            Series(
                f"mean of {2 * window + 1} {'updates' if every == 1 else 'of them'}",
                steps[chosen],
                smooth[chosen],
            ),
        ]
    at, validation, _ = _finite(checks, lambda r: r["validation"].get("loss"))
    if len(validation):
        lines.append(Series("validation", at, validation, "other", dots=True))
    if lines:
        top = max(float(np.percentile(line.y, 99.5)) for line in lines) * 1.08
        note = f"The loss of {updates_text(lost)} was not a finite number." if lost else ""
        chart = line_chart("Loss", lines, text=number_text, top=top, last_step=planned)
        charts.append((chart, note))
    told = headline(model.problem_type)
    at, followed, _ = _finite(checks, lambda r: r["validation"].get(told.followed))
    if len(followed):
        line = Series(f"validation {told.followed_name}", at, followed, "other", dots=True)
        chart = line_chart(
            f"Validation {told.followed_name}",
            [line],
            text=told.text,
            axis=told.axis,
            top=told.top or float(followed.max()) * 1.08,
            last_step=planned,
        )
        charts.append((chart, ""))
    return charts


def _finite(records: list[dict[str, Any]], value: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Steps and values of the records that have one, and how many of these were not finite."""
    pairs = [(r["step"], value(r)) for r in records if value(r) is not None]
    good = [(step, number) for step, number in pairs if math.isfinite(number)]
    steps = np.array([step for step, _ in good], dtype=np.int64)
    return steps, np.array([n for _, n in good], dtype=np.float64), len(pairs) - len(good)


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of every value and up to `window` neighbours on either side."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    here = np.arange(len(values))
    start, end = np.maximum(here - window, 0), np.minimum(here + window + 1, len(values))
    return np.asarray((sums[end] - sums[start]) / (end - start))
