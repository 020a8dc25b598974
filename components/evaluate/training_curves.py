"""The charts of a training log: learning rates applied, losses, and a validation metric."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.build_optimizer.curve import curve_chart, milestones
from kfp_finetune.components.counts import counted
from kfp_finetune.components.load_data.sampling import stride
from kfp_finetune.components.number_text import count_text, number_text
from kfp_finetune.components.pages.charts import Series, line_chart, thin
from kfp_finetune.components.tasks.registry import get_problem_type


def training_curves(
    records: list[dict[str, Any]], model: ModelManifest
) -> list[tuple[dict[str, Any], str]]:
    """The charts of the training log, each with a note to show below it."""
    steps = [r for r in records if "learning_rate" in r]
    evaluations = [r for r in records if "validation" in r]
    charts = [
        _rates(steps, model),
        _losses(steps, evaluations, model.num_train_steps),
        _headline_metric(evaluations, model),
    ]
    return [chart for chart in charts if chart is not None]


def _rates(steps: list[dict[str, Any]], model: ModelManifest) -> tuple[dict[str, Any], str] | None:
    """The learning rate that each step applied; None without steps."""
    if not steps:
        return None
    chart = curve_chart(
        "Learning rate applied",
        np.array([r["learning_rate"] for r in steps], dtype=np.float64),
        milestones(model.optimizer.schedule),
        model.num_train_steps,
        steps=[r["step"] for r in steps],
    )
    stopped = model.stopped_at
    if stopped is None:
        return chart, ""
    return chart, f"Training stopped after step {count_text(stopped.step)}: {stopped.reason}."


def _losses(
    steps: list[dict[str, Any]], evaluations: list[dict[str, Any]], planned: int
) -> tuple[dict[str, Any], str] | None:
    """Training and validation loss; None without any."""
    at, losses, not_finite = _finite(steps, lambda r: r.get("loss"))
    lines = []
    if len(losses):
        window = max(1, len(losses) // 40)
        every = stride(planned)
        each = "each step" if every == 1 else f"one step in {count_text(every)}"
        averaged = "steps" if every == 1 else "of them"
        chosen = thin(losses)
        lines = [
            Series(f"training, {each}", at[chosen], losses[chosen], "faint"),
            Series(
                f"mean of {2 * window + 1} {averaged}", at[chosen], _smooth(losses, window)[chosen]
            ),
        ]
    at, validation, _ = _finite(evaluations, lambda r: r["validation"].get("loss"))
    if len(validation):
        lines.append(Series("validation", at, validation, "other", dots=True))
    if not lines:
        return None
    top = max(float(np.percentile(line.y, 99.5)) for line in lines) * 1.08
    chart = line_chart("Loss", lines, text=number_text, top=top, last_step=planned)
    note = f"The loss of {counted(not_finite, 'step')} was not finite." if not_finite else ""
    return chart, note


def _headline_metric(
    evaluations: list[dict[str, Any]], model: ModelManifest
) -> tuple[dict[str, Any], str] | None:
    """The headline metric of the problem type on the validation split; None without evaluations."""
    kind = get_problem_type(model.problem_type)
    at, values, _ = _finite(evaluations, lambda r: r["validation"].get(kind.metric))
    if not len(values):
        return None
    name = f"validation {kind.metric_name}"
    chart = line_chart(
        f"V{name[1:]}",
        [Series(name, at, values, "other", dots=True)],
        text=kind.metric_text,
        axis=kind.axis_text,
        top=kind.metric_top or float(values.max()) * 1.08,
        last_step=model.num_train_steps,
    )
    return chart, ""


def _finite(records: list[dict[str, Any]], value: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Steps and finite values of the records that have one, and the number of non-finite ones."""
    pairs = [(r["step"], value(r)) for r in records if value(r) is not None]
    good = [(step, number) for step, number in pairs if math.isfinite(number)]
    steps = np.array([step for step, _ in good], dtype=np.int64)
    return steps, np.array([n for _, n in good], dtype=np.float64), len(pairs) - len(good)


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of every value and up to `window` neighbours on each side."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    here = np.arange(len(values))
    start, end = np.maximum(here - window, 0), np.minimum(here + window + 1, len(values))
    return np.asarray((sums[end] - sums[start]) / (end - start))
