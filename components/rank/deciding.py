"""The metric that decides a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER, Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.evaluate.metric_table import metric_name, metric_text
from kfp_finetune.components.finetune.selection import optimised_metric
from kfp_finetune.components.tasks.registry import get_problem_type


@dataclass(frozen=True)
class DecidingMetric:
    """The metric by which the candidates are ranked, and how its values are shown.

    Attributes:
        key: Its name in metrics.json.
        name: Its name within a sentence.
        text: Formats a value.
        axis: Formats a value for the axis of a chart.
        top: The largest possible value; None if there is none.
    """

    key: str
    name: str
    text: Callable[[float], str]
    axis: Callable[[float], str]
    top: float | None

    @property
    def less_is_better(self) -> bool:
        """Return True if a smaller value is better."""
        return self.key in LESS_IS_BETTER


def deciding_metric(model: ModelManifest, metrics: Metrics) -> DecidingMetric:
    """The metric that trials optimise, or the headline metric if they optimise none.

    Args:
        model: The model of a trial; all trials of a comparison optimise the same metric.
        metrics: Its metrics.
    """
    kind = get_problem_type(model.problem_type)
    key = optimised_metric(model.parameters or {}) or kind.metric
    if key == kind.metric:
        return DecidingMetric(
            key, kind.metric_name, kind.metric_text, kind.axis_text, kind.metric_top
        )
    name = metric_name(key, kind)
    return DecidingMetric(
        key=key,
        name=name + metrics.about(key) if key == "f1" else name[0].lower() + name[1:],
        text=partial(metric_text, key),
        axis=("{:.0%}" if "accuracy" in key else "{:,.6g}").format,
        top=None if key in LESS_IS_BETTER else 1.0,
    )
