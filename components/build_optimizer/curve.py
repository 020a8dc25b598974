"""The learning-rate curve, to look at before anything is trained: one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.checks import USED_BY
from kfp_finetune.components.build_optimizer.schedules import learning_rate_at
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
    start = f"the first {count_text(warmup)} of them warmup" if warmup else "no warmup"
    return f"{optimizer}, {_shape(schedule)}, {start}"


def _shape(schedule: Schedule) -> str:
    peak, end = rate_text(schedule.learning_rate), rate_text(schedule.end_learning_rate)
    updates = updates_text(schedule.num_train_steps)
    match schedule.name:
        case "constant":
            return f"constant rate {peak} for {updates}"
        case "polynomial":
            return (
                f"polynomial decay (power {schedule.power:g}) from {peak} to {end} over {updates}"
            )
        case "cosine_with_restarts" if schedule.num_cycles > 1:
            times = count_text(schedule.num_cycles)
            return f"{times} cosine decays, each from {peak} to {end}, over {updates}"
        case "inverse_sqrt" | "exponential":
            kind = {"inverse_sqrt": "inverse square root"}.get(schedule.name, schedule.name)
            ends_at = learning_rate_at(schedule, schedule.num_train_steps)
            way = "rise" if ends_at > schedule.learning_rate else "decay"
            return f"{kind} {way} from {peak} to {rate_text(ends_at)} over {updates}"
        case "piecewise_constant":
            pieces = "".join(
                f", {rate_text(rate)} from update {count_text(start)} on"
                for start, rate in schedule.boundaries
            )
            return f"rate {peak}{pieces}, over {updates}"
        case "warmup_stable_decay":
            last = count_text(schedule.decay_steps)
            return f"constant rate {peak} over {updates}, the last {last} cosine decay to {end}"
    return f"{schedule.name.split('_')[0]} decay from {peak} to {end} over {updates}"


def turns(schedule: Schedule) -> dict[int, str]:
    """The updates at which the curve turns, and what each of them is.

    Of many restarts or pieces, which are plain to see, none: on a phone there is room for few.
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
    """The steps whose rates are drawn: those that are kept, the turns, the last, and its end."""
    total = schedule.num_train_steps
    return sorted({*kept_steps(total), *turns(schedule), total - 1, total})


def curve_chart(
    title: str,
    rates: np.ndarray,
    turns: Mapping[int, str],
    planned: int,
    height: int = 240,
    steps: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Lay out a learning-rate curve with its numbers on it, for the macro `line_chart`.

    Args:
        title: What is drawn.
        rates: The rate of every update, shape [updates], and, if there is one more, the rate after
            the last planned update, shape [planned + 1]. At least one.
        turns: Updates to mark, and what they are.
        planned: Updates planned, the right edge of the chart.
        height: Of the plot in pixels.
        steps: The updates whose rates they are, where some are left out.

    Returns:
        A chart of at most 2,000 points; first, peak, last and the turns are among them.
    """
    rates = np.asarray(rates, dtype=np.float64)
    x = np.arange(len(rates)) if steps is None else np.asarray(steps)
    after = rates[-1] if x[-1] >= planned else None
    last = len(x) - (1 if after is None else 2)
    marks = {0: ["first"]}
    marks.setdefault(int(rates[: last + 1].argmax()), []).append("peak")
    for step, name in turns.items():
        if step <= x[last]:
            marks.setdefault(int(np.searchsorted(x, step)), []).append(name)
    marks.setdefault(last, []).append("last applied" if after is None else "last applied → after")
    notes = []
    for index, names in sorted(marks.items()):
        value = rate_text(rates[index])
        if index == last and after is not None:
            value = f"{value} → {rate_text(after)}"
        notes.append(
            Note(x[index], rates[index], value, ", ".join(names), f"update {count_text(x[index])}")
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
        rates: Shape [num_train_steps + 1]; `rates[i]` is the rate that update i uses, updates
            counted from 0, and the last one is the rate after the last update. Or shape [steps].
        steps: The updates whose rates they are, as `drawn_steps` returns them; None: all.

    Returns:
        The page. The same input gives the same bytes.

    Raises:
        ValueError: If there are not exactly as many rates as steps.
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
            "Learning rate by update", rates, turns(schedule), total, height=320, steps=steps
        ),
        tiles=[
            ("Updates", count_text(total), "num_train_steps"),
            ("First rate", rate_text(rates[0]), "update 0"),
            ("Peak", rate_text(rates[peak]), f"update {count_text(at_peak)}"),
            ("Warmup", count_text(warmup) if warmup else "none", _warmup_note(warmup, total)),
            ("Last rate applied", rate_text(rates[-2]), f"update {count_text(total - 1)}"),
            ("After the last update", rate_text(rates[-1]), "never applied"),
        ],
        settings=settings(config),
    )


def settings(config: OptimizerConfig) -> list[tuple[str, str]]:
    """Every parameter that shapes the updates, by the name it is set with."""
    schedule = config.schedule
    total, clipped = schedule.num_train_steps, config.max_grad_norm
    pieces = (f"{rate_text(r)} from update {count_text(i)} on" for i, r in schedule.boundaries)
    rows = {
        "optimizer": config.name,
        "lr_scheduler_type": schedule.name,
        "learning_rate": rate_text(schedule.learning_rate),
        "end_learning_rate": rate_text(schedule.end_learning_rate),
        "power": f"{schedule.power:g}",
        "num_cycles": count_text(schedule.num_cycles),
        "decay_rate": f"{schedule.decay_rate:g}",
        "decay_ratio": updates_text(schedule.decay_steps),
        "lr_boundaries": ", ".join(pieces),
        "warmup_steps": count_text(schedule.warmup_steps),
        "num_train_steps": count_text(total),
        "momentum": f"{config.momentum:g}",
        "weight_decay": f"{config.weight_decay:g}",
        "adam_beta1": f"{config.adam_beta1:g}",
        "adam_beta2": f"{config.adam_beta2:g}",
        "adam_epsilon": f"{config.adam_epsilon:g}",
        "max_grad_norm": "off" if clipped is None else f"{clipped:g}",
    }
    chosen = {schedule.name, config.name}
    return [(n, text) for n, text in rows.items() if not chosen.isdisjoint(USED_BY.get(n, chosen))]


def updates_text(count: int) -> str:
    """A number of updates, in words."""
    return "1 update" if count == 1 else f"{count_text(count)} updates"


def _warmup_note(warmup: int, total: int) -> str:
    return f"updates, {warmup / total:.1%} of all" if warmup else "starts at the peak"
