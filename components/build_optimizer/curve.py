"""The learning-rate curve, to look at before anything is trained: one self-contained page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.pages.charts import (
    Note,
    Series,
    line_chart,
    thin,
)
from kfp_finetune.components.pages.page import count_text, rate_text, templates

_NAMES = {"adam": "Adam", "adamw": "AdamW"}


def describe(config: OptimizerConfig) -> str:
    """The optimizer and its schedule in one sentence, without a full stop."""
    schedule = config.schedule
    peak, end = rate_text(schedule.learning_rate), rate_text(schedule.end_learning_rate)
    updates = updates_text(schedule.num_train_steps)
    if schedule.name == "constant":
        shape = f"constant rate {peak} for {updates}"
    else:
        power = f" (power {schedule.power:g})" if schedule.name == "polynomial" else ""
        shape = f"{schedule.name} decay{power} from {peak} to {end} over {updates}"
    warmup = schedule.warmup_steps
    start = f"the first {count_text(warmup)} of them warmup" if warmup else "no warmup"
    return f"{_NAMES[config.name]}, {shape}, {start}"


def curve_chart(
    title: str, rates: np.ndarray, warmup_steps: int, planned: int, height: int = 240
) -> dict[str, Any]:
    """Lay out a learning-rate curve with its numbers on it, for the macro `line_chart`.

    Args:
        title: What is drawn.
        rates: The rate of every update, shape [updates], and, if there is one more, the rate after
            the last planned update, shape [planned + 1]. At least one.
        warmup_steps: Updates of warmup; the first rate after them is marked. 0 for none.
        planned: Updates planned, the right edge of the chart.
        height: Of the plot in pixels.

    Returns:
        A chart of at most 2,000 points; first, peak, last and the end of warmup are among them.
    """
    rates = np.asarray(rates, dtype=np.float64)
    after = rates[planned] if len(rates) > planned else None
    last = min(len(rates), planned) - 1
    marks = {0: ["first"]}
    marks.setdefault(int(rates[: last + 1].argmax()), []).append("peak")
    if 0 < warmup_steps <= last:
        marks.setdefault(warmup_steps, []).append("warmup ends")
    marks.setdefault(last, []).append("last applied" if after is None else "last applied → after")
    notes = []
    for index, names in sorted(marks.items()):
        value = rate_text(rates[index])
        if index == last and after is not None:
            value = f"{value} → {rate_text(after)}"
        notes.append(
            Note(index, rates[index], value, ", ".join(names), f"update {count_text(index)}")
        )
    chosen = thin(rates, keep=sorted(marks))
    return line_chart(
        title,
        [Series("learning rate", chosen, rates[chosen])],
        text=rate_text,
        top=float(rates.max()) * 1.3,
        last_step=planned,
        height=height,
        notes=notes,
    )


def render_curve(config: OptimizerConfig, rates: np.ndarray) -> str:
    """Draw the learning rate of a run as a self-contained HTML page.

    Args:
        config: The optimizer and its schedule.
        rates: Shape [num_train_steps + 1]; `rates[i]` is the rate that update i uses, updates
            counted from 0, and the last one is the rate after the last update.

    Returns:
        The page. The same input gives the same bytes.

    Raises:
        ValueError: If there are not exactly `num_train_steps + 1` rates.
    """
    schedule = config.schedule
    total = schedule.num_train_steps
    if np.shape(rates) != (total + 1,):
        raise ValueError(f"expected {total + 1} rates, found an array of shape {np.shape(rates)}")
    rates = np.asarray(rates, dtype=np.float64)
    peak = int(rates[:-1].argmax())
    warmup = schedule.warmup_steps
    page = templates(Path(__file__).parent).get_template("curve.html.jinja")
    return page.render(
        sentence=describe(config),
        chart=curve_chart("Learning rate by update", rates, warmup, total, height=320),
        tiles=[
            ("Updates", count_text(total), "num_train_steps"),
            ("First rate", rate_text(rates[0]), "update 0"),
            ("Peak", rate_text(rates[peak]), f"update {count_text(peak)}"),
            ("Warmup", count_text(warmup) if warmup else "none", _warmup_note(warmup, total)),
            ("Last rate applied", rate_text(rates[-2]), f"update {count_text(total - 1)}"),
            ("After the last update", rate_text(rates[-1]), "never applied"),
        ],
        settings=settings(config),
    )


def settings(config: OptimizerConfig) -> list[tuple[str, str]]:
    """Every parameter that shapes the updates, by the name it is set with."""
    schedule = config.schedule
    rows: list[tuple[str, str]] = [
        ("optimizer", config.name),
        ("lr_scheduler_type", schedule.name),
        ("learning_rate", rate_text(schedule.learning_rate)),
    ]
    if schedule.name != "constant":
        rows.append(("end_learning_rate", rate_text(schedule.end_learning_rate)))
    if schedule.name == "polynomial":
        rows.append(("power", f"{schedule.power:g}"))
    clipped = config.max_grad_norm
    return [
        *rows,
        ("warmup_steps", count_text(schedule.warmup_steps)),
        ("num_train_steps", count_text(schedule.num_train_steps)),
        ("weight_decay", f"{config.weight_decay:g}"),
        ("adam_beta1", f"{config.adam_beta1:g}"),
        ("adam_beta2", f"{config.adam_beta2:g}"),
        ("adam_epsilon", f"{config.adam_epsilon:g}"),
        ("max_grad_norm", "off" if clipped is None else f"{clipped:g}"),
    ]


def updates_text(count: int) -> str:
    """A number of updates, in words."""
    return "1 update" if count == 1 else f"{count_text(count)} updates"


def _warmup_note(warmup: int, total: int) -> str:
    return f"updates, {warmup / total:.1%} of all" if warmup else "starts at the peak"
