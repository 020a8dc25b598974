"""The head of the report and the curves, as a small page for the output of a notebook's cell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.evaluate.metric_table import tiles
from kfp_finetune.components.evaluate.training_curves import training_curves
from kfp_finetune.components.options import as_arguments
from kfp_finetune.components.pages.page import templates
from kfp_finetune.components.tasks.registry import get_problem_type


def render_card(
    title: str, metrics: Metrics, model: ModelManifest, training_log: Iterable[dict[str, Any]]
) -> str:
    """Write the page.

    Args:
        title: The heading.
        metrics: The metrics of the evaluated split.
        model: The model's manifest.
        training_log: Its records in order; empty: no curves are drawn.

    Returns:
        The page, without any reference to the network.
    """
    kind = get_problem_type(model.problem_type)
    records = list(training_log)
    found = metrics.verdict
    page = templates(Path(__file__).parent).get_template("card.html.jinja")
    return page.render(
        title=title,
        split=metrics.split,
        source="",
        result=kind.result(metrics),
        # A notebook's reader changes arguments, not options.
        verdict=found and found.model_copy(update={"advice": as_arguments(found.advice)}),
        try_next=[],
        tiles=tiles(metrics, kind),
        curves=training_curves(records, model) if records else [],
    )
