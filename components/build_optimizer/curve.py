"""The learning-rate curve as a self-contained page, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.checks import FIELDS, USED_BY
from kfp_finetune.components.build_optimizer.schedules import learning_rate_at
from kfp_finetune.components.counts import counted
from kfp_finetune.components.load_data.sampling import kept_steps
from kfp_finetune.components.number_text import count_text, rate_text
from kfp_finetune.components.pages.charts import (
    Note,
    Series,
    line_chart,
    thin,
)
from kfp_finetune.components.pages.page import templates

_NAMES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "lion": "Lion"}


def describe(config: OptimizerConfig) -> str:
    """The optimizer and its schedule in one sentence, without a full stop."""
    schedule = config.schedule
    optimizer = _NAMES[config.name]
    if config.name == "sgd" and config.momentum:
        optimizer += f" with momentum {config.momentum:g}"
    warmup = schedule.warmup_steps
    start = f"warmup over the first {counted(warmup, 'step')}" if warmup else "no warmup"
    return f"{optimizer}, {_shape(schedule)}, {start}"


def _shape(schedule: Schedule) -> str:
    peak, end = rate_text(schedule.learning_rate), rate_text(schedule.end_learning_rate)
    steps = counted(schedule.num_train_steps, "step")
    match schedule.name:
        case "constant":
            return f"constant rate {peak} for {steps}"
        case "polynomial":
            return f"polynomial decay (power {schedule.power:g}) from {peak} to {end} over {steps}"
        case "cosine_with_restarts" if schedule.num_cycles > 1:
            times = count_text(schedule.num_cycles)
            return f"{times} cosine decays, each from {peak} to {end}, over {steps}"
        case "inverse_sqrt" | "exponential":
            kind = {"inverse_sqrt": "inverse square root"}.get(schedule.name, schedule.name)
            ends_at = learning_rate_at(schedule, schedule.num_train_steps)
            way = "rise" if ends_at > schedule.learning_rate else "decay"
            return f"{kind} {way} from {peak} to {rate_text(ends_at)} over {steps}"
        case "piecewise_constant":
            pieces = "".join(
                f", {rate_text(rate)} from step {count_text(start)} on"
                for start, rate in schedule.boundaries
            )
            return f"rate {peak}{pieces}, over {steps}"
        case "warmup_stable_decay":
            last = count_text(schedule.decay_steps)
            return f"constant rate {peak} over {steps}, the last {last} cosine decay to {end}"
    return f"{schedule.name.split('_')[0]} decay from {peak} to {end} over {steps}"


def milestones(schedule: Schedule) -> dict[int, str]:
    """The steps at which the curve changes its form, and their names.

    Many restarts or pieces have no names: they are easy to see, and a phone has little room.
    """
    warmup, total = schedule.warmup_steps, schedule.num_train_steps
    found = {warmup: "warmup ends"} if warmup else {}
    if schedule.name == "piecewise_constant" and len(schedule.boundaries) <= 2:
        found |= {start: "next rate" for start, _ in schedule.boundaries}
    elif schedule.name == "cosine_with_restarts" and schedule.num_cycles == 2:
        found[warmup + math.ceil((total - warmup) / 2)] = "restart"
    elif schedule.name == "warmup_stable_decay":
        begins = total - schedule.decay_steps
        found[begins] = "warmup ends, decay begins" if begins in found else "decay begins"
    return found


def drawn_steps(schedule: Schedule) -> list[int]:
    """The steps to draw: those that `sampling` keeps, the milestones, and the last two."""
    total = schedule.num_train_steps
    return sorted({*kept_steps(total), *milestones(schedule), total - 1, total})


def curve_chart(
    title: str,
    rates: np.ndarray,
    milestones: Mapping[int, str],
    planned: int,
    height: int = 240,
    steps: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Lay out a learning-rate curve with its numbers on it, for the macro `line_chart`.

    Args:
        title: Title of the chart.
        rates: The rate of every step, shape [steps], or with one more, the rate after the last
            planned step, shape [planned + 1]. At least one.
        milestones: Steps to mark, and their names.
        planned: Number of planned steps, the right edge of the chart.
        height: Height of the plot in pixels.
        steps: The steps of these rates, if some are omitted.

    Returns:
        A chart of at most 2,000 points, including first, peak, last and the milestones.
    """
    rates = np.asarray(rates, dtype=np.float64)
    x = np.arange(len(rates)) if steps is None else np.asarray(steps)
    last = len(x) - (2 if x[-1] >= planned else 1)
    ends = rates[last] != rates[-1]  # the rate after the last step differs
    marks = {0: ["first"]}
    marks.setdefault(int(rates[: last + 1].argmax()), []).append("peak")
    for step, name in milestones.items():
        if step <= x[last]:
            marks.setdefault(int(np.searchsorted(x, step)), []).append(name)
    marks.setdefault(last, []).append("last → after" if ends else "last applied")
    notes = []
    for index, names in sorted(marks.items()):
        value = rate_text(rates[index])
        if index == last and ends:
            value = f"{value} → {rate_text(rates[-1])}"
        notes.append(
            Note(x[index], rates[index], value, ", ".join(names), f"step {count_text(x[index])}")
        )
    chosen = thin(rates, keep=sorted(marks))
    return line_chart(
        title,
        [Series("learning rate", x[chosen], rates[chosen])],
        text=rate_text,
        top=float(rates.max()) * 1.4,  # room for a note above the peak, on a phone too
        last_step=planned,
        height=height,
        notes=notes,
    )


def render_curve(
    config: OptimizerConfig, rates: np.ndarray, steps: Sequence[int] | None = None
) -> str:
    """Draw the learning rate of a run as a self-contained HTML page.

    Args:
        config: The optimizer and its schedule.
        rates: Shape [num_train_steps + 1]; `rates[i]` is the rate that step i uses, counted
            from 0, and the last one is the rate after the last step. Or shape [steps].
        steps: The steps of these rates, as `drawn_steps` returns them; None: all.

    Returns:
        The page. The same input gives the same bytes.

    Raises:
        ValueError: If the numbers of rates and steps differ.
    """
    schedule = config.schedule
    total = schedule.num_train_steps
    count = total + 1 if steps is None else len(steps)
    if np.shape(rates) != (count,):
        raise ValueError(f"expected {count} rates, found an array of shape {np.shape(rates)}")
    rates = np.asarray(rates, dtype=np.float64)
    peak = int(rates[:-1].argmax())
    at_peak = peak if steps is None else steps[peak]
    warmup = schedule.warmup_steps
    page = templates(Path(__file__).parent).get_template("curve.html.jinja")
    return page.render(
        sentence=describe(config),
        chart=curve_chart(
            "Learning rate by step", rates, milestones(schedule), total, height=320, steps=steps
        ),
        tiles=[
            ("Steps", count_text(total), "num_train_steps"),
            ("First rate", rate_text(rates[0]), "step 0"),
            ("Peak", rate_text(rates[peak]), f"step {count_text(at_peak)}"),
            ("Warmup", count_text(warmup) if warmup else "none", _warmup_note(warmup, total)),
            ("Last rate applied", rate_text(rates[-2]), f"step {count_text(total - 1)}"),
            ("After the last step", rate_text(rates[-1]), "never applied"),
        ],
        settings=settings(config),
    )


def settings(config: OptimizerConfig) -> list[tuple[str, str]]:
    """Every parameter that the optimizer and the schedule use, and its value as text."""
    schedule = config.schedule
    pieces = (f"{rate_text(r)} from step {count_text(i)} on" for i, r in schedule.boundaries)
    values = {**dict(schedule), **dict(config)}
    texts = {name: _value_text(name, values[name]) for name in FIELDS}
    warmup = texts.pop("warmup_steps")
    rows = {
        "optimizer": config.name,
        "lr_scheduler_type": schedule.name,
        **{name: text for name, text in texts.items() if name in Schedule.model_fields},
        "decay_ratio": counted(schedule.decay_steps, "step"),
        "lr_boundaries": ", ".join(pieces),
        "warmup_steps": warmup,
        "num_train_steps": count_text(schedule.num_train_steps),
        **texts,
    }
    chosen = {schedule.name, config.name}
    return [(n, text) for n, text in rows.items() if not chosen.isdisjoint(USED_BY.get(n, chosen))]


def _value_text(name: str, value: float | None) -> str:
    if value is None:
        return "off"
    if name.endswith("learning_rate"):
        return rate_text(value)
    return count_text(value) if isinstance(value, int) else f"{value:g}"


def _warmup_note(warmup: int, total: int) -> str:
    return f"steps, {warmup / total:.1%} of all" if warmup else "starts at the peak"
