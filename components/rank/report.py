"""The comparison as a page: the verdict, the table, all rates and all validation curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kfp_finetune.components.artifacts.leaderboard import Leaderboard
from kfp_finetune.components.build_optimizer.curve import describe
from kfp_finetune.components.evaluate.headline import headline
from kfp_finetune.components.pages.charts import Series, line_chart, thin
from kfp_finetune.components.pages.page import rate_text, templates
from kfp_finetune.components.rank.leaderboard import Training

_COLOURS = 8
_FEW_POINTS = 300


def render_comparison(board: Leaderboard, trainings: Sequence[Training]) -> str:
    """Write the page.

    Args:
        board: What `rank` made of the trainings.
        trainings: In the order in which they were trained.

    Returns:
        A self-contained HTML page. The same input gives the same bytes.
    """
    told = headline(trainings[0].model.problem_type)
    best = [(c, trainings[c.attempts[0].index]) for c in board.candidates]
    page = templates(Path(__file__).parent).get_template("rank.html.jinja")
    return page.render(
        board=board,
        metric_name=told.followed_name,
        text=told.text,
        rows=[(_style(i), c, describe(t.model.optimizer)) for i, (c, t) in enumerate(best)],
        rates=_rates(best),
        curves=_curves(best, told),
        has_seeds=any(len(c.attempts) > 1 for c in board.candidates),
    )


def _style(place: int) -> str:
    """The colour of a place on the leaderboard."""
    return f"c{place % _COLOURS}"


def _rates(best: Sequence[tuple[Any, Training]]) -> dict[str, Any] | None:
    lines = []
    for place, (candidate, training) in enumerate(best):
        updates = [r for r in training.log if "learning_rate" in r]
        steps = np.array([r["step"] for r in updates])
        rates = np.array([r["learning_rate"] for r in updates])
        chosen = thin(rates, limit=_FEW_POINTS)
        lines.append(Series(candidate.name, steps[chosen], rates[chosen], _style(place)))
    # The rate of what diverged may be so high that of the others nothing would be seen.
    good = [line for line, (c, _) in zip(lines, best, strict=True) if c.mean is not None]
    top = _highest(good) or _highest(lines)
    return _chart("Learning rate applied", lines, best, text=rate_text, top=top)


def _curves(best: Sequence[tuple[Any, Training]], told: Any) -> dict[str, Any] | None:
    lines = []
    for place, (candidate, training) in enumerate(best):
        checks = [(r["step"], r["validation"]) for r in training.log if "validation" in r]
        steps = np.array([step for step, _ in checks])
        values = np.array([metrics[told.followed] for _, metrics in checks])
        lines.append(Series(candidate.name, steps, values, _style(place), dots=True))
    title = f"Validation {told.followed_name}"
    top = told.top or _highest(lines)
    return _chart(title, lines, best, text=told.text, axis=told.axis, top=top)


def _highest(lines: Sequence[Series]) -> float:
    """The upper edge of a chart of these lines; 0 where they have no points."""
    return max((float(line.y.max()) * 1.08 for line in lines if len(line.y)), default=0.0)


def _chart(
    title: str,
    lines: list[Series],
    best: Sequence[tuple[Any, Training]],
    **how: Any,
) -> dict[str, Any] | None:
    """All candidates, the best drawn last and so in front; None where there is nothing to draw."""
    if not any(len(line.x) for line in lines):
        return None
    return line_chart(
        title,
        lines[::-1],
        last_step=max(t.model.num_train_steps for _, t in best),
        height=320,
        **how,
    )
