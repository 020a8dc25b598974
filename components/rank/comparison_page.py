"""The comparison of trials as a self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.leaderboard import Leaderboard
from kfp_finetune.components.artifacts.metrics import UNTUNED
from kfp_finetune.components.build_optimizer.curve import describe
from kfp_finetune.components.number_text import rate_text
from kfp_finetune.components.pages.charts import LogFrom, Series, line_chart, thin
from kfp_finetune.components.pages.page import templates
from kfp_finetune.components.rank.deciding import DecidingMetric, deciding_metric
from kfp_finetune.components.rank.facts import best_command, comparison_facts
from kfp_finetune.components.rank.trials import Trial
from kfp_finetune.components.rank.verdict import NOTHING

_COLOURS = 8
_FEW_POINTS = 300
_ROOM = 1.3  # above the highest peak
_DECAY_SHOWN = 0.01  # of the lowest peak


def render_comparison(board: Leaderboard, trials: Sequence[Trial]) -> str:
    """Write the page.

    Args:
        board: The ranked trials.
        trials: The trials in the order of training.

    Returns:
        A self-contained HTML page. The same input gives the same bytes.
    """
    deciding = deciding_metric(trials[0].model, trials[0].metrics)
    positive_label = trials[0].model.positive_label
    best = [(c, trials[c.attempts[0].index]) for c in board.candidates]
    page = templates(Path(__file__).parent).get_template("rank.html.jinja")
    return page.render(
        board=board,
        metric_name=deciding.name,
        text=deciding.text,
        rows=[(_style(i), c, describe(t.model.optimizer)) for i, (c, t) in enumerate(best)],
        facts_=comparison_facts(trials),
        command=best_command(best[0][1]),
        rates=_rates(best),
        curves=_curves(best, deciding),
        positive_label=positive_label,
        positives=_positives(board) if positive_label and deciding.key != "f1" else {},
        heading=_heading(board),
        has_intervals=any(c.interval for c in board.candidates),
        shared={c.place for c in board.candidates if c.tied},
        at_usual_threshold=any(
            UNTUNED + board.metric in t.metrics.metrics and board.split != "test" for t in trials
        ),
        **_seeds(board),
    )


def _heading(board: Leaderboard) -> str:
    left = [c for c in board.candidates if c.mean is not None]
    if not left:
        return "Every candidate diverged"
    if all(c.diagnosis == NOTHING for c in left):
        return "No candidate learned anything"
    tied = [c for c in left if c.place == 1]
    if len(tied) > 1:
        return f"{len(tied)} candidates cannot be told apart"
    return board.candidates[0].name


def _positives(board: Leaderboard) -> dict[str, float]:
    """The mean F1 of the positive label over the seeds that did not diverge, by candidate."""
    found = {}
    for candidate in board.candidates:
        measured = [
            trial.validation_metrics if board.split == "validation" else trial.test_metrics
            for trial in candidate.attempts
            if trial.diverged_at is None
        ]
        if measured and all("f1" in metrics for metrics in measured):
            found[candidate.name] = mean(metrics["f1"] for metrics in measured)
    return found


def _seeds(board: Leaderboard) -> dict[str, Any]:
    """The headings' additions that tell means over seeds from values of one run."""
    most = max(len(c.attempts) for c in board.candidates)
    return {
        "has_seeds": most > 1,
        "of_seeds": f", mean of {most} seeds" if most > 1 else "",
        "of_best": ", best seed" if most > 1 else "",
    }


def _style(place: int) -> str:
    """The colour of a position on the leaderboard; lines are dashed when colours repeat."""
    return f"c{place % _COLOURS}{' again' * (place >= _COLOURS)}"


def _rates(best: Sequence[tuple[Any, Trial]]) -> dict[str, Any] | None:
    lines = []
    for place, (candidate, trial) in enumerate(best):
        logged = [r for r in trial.log if "learning_rate" in r]
        steps = np.array([r["step"] for r in logged])
        rates = np.array([r["learning_rate"] for r in logged])
        chosen = thin(rates, limit=_FEW_POINTS)
        lines.append(Series(candidate.name, steps[chosen], rates[chosen], _style(place)))
    # The rate of a diverged trial may be so high that the others would be invisible.
    good = [line for line, (c, _) in zip(lines, best, strict=True) if c.mean is not None]
    drawn = [line for line in good or lines if len(line.y) and line.y.max() > 0]
    if not drawn:
        return None
    peaks = [float(line.y.max()) for line in drawn]
    # A logarithmic axis shows peaks of 5e-5 and of 1e-3, and the last percent of each decay.
    return _chart(
        "Learning rate applied, logarithmic axis",
        drawn,
        best,
        text=rate_text,
        top=max(peaks) * _ROOM,
        bottom=LogFrom(min(peaks) * _DECAY_SHOWN),
    )


def _curves(best: Sequence[tuple[Any, Trial]], metric: DecidingMetric) -> dict[str, Any] | None:
    lines = []
    for place, (candidate, trial) in enumerate(best):
        logged = [r for r in trial.log if "validation" in r]
        steps = np.array([r["step"] for r in logged])
        values = np.array([r["validation"][metric.key] for r in logged])
        good = np.isfinite(values)  # the last loss may not be
        lines.append(Series(candidate.name, steps[good], values[good], _style(place), dots=True))
    title = f"Validation {metric.name}"
    # The loss of a diverged trial may be so high that the others would be flat.
    kept = [line for line, (c, _) in zip(lines, best, strict=True) if c.mean is not None]
    top = metric.top or _highest(kept) or _highest(lines)
    return _chart(title, lines, best, text=metric.text, axis=metric.axis, top=top)


def _highest(lines: Sequence[Series]) -> float:
    """The upper edge of a chart of these lines; 0 without points."""
    return max((float(line.y.max()) * 1.08 for line in lines if len(line.y)), default=0.0)


def _chart(
    title: str,
    lines: list[Series],
    best: Sequence[tuple[Any, Trial]],
    **how: Any,
) -> dict[str, Any] | None:
    """A chart of the candidates with points, the best one in front; None without any."""
    lines = [line for line in lines if len(line.x)]
    if not lines:
        return None
    return line_chart(
        title,
        lines[::-1],
        last_step=max(t.model.num_train_steps for _, t in best),
        height=320,
        **how,
    )
