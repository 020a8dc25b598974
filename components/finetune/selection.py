"""Selection of the final weights and early stopping, by a metric on the validation split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.declaration import unknown_metric

if TYPE_CHECKING:
    from kfp_finetune.components.finetune.history import Evaluation


@dataclass(frozen=True)
class Selection:
    """The settings of model selection and early stopping.

    Attributes:
        metric: Name of the metric.
        patience: Number of evaluations without improvement after which training stops; None: it
            does not stop early.
        load_best: Whether the model gets the weights of the best evaluation, not the last ones.
    """

    metric: str = "loss"
    patience: int | None = None
    load_best: bool = False

    def check(self, metrics: list[str], validation_rows: int) -> None:
        """Check that the metric is measured.

        Args:
            metrics: Names of the metrics that the task measures besides the loss.
            validation_rows: Number of rows in the validation split.

        Raises:
            InputError: If the metric is not measured.
        """
        known = ["loss", *metrics]
        if self.metric not in known:
            raise unknown_metric(self.metric, "one of " + ", ".join(known), known)
        if not validation_rows and (problems := self.without_validation()):
            raise InputError.of_all(problems)

    def without_validation(self) -> list[InputError]:
        """The problems of a run that has no validation rows."""
        needed = {
            "load_best_model_at_end": self.load_best,
            "early_stopping_patience": self.patience is not None,
        }
        return [
            InputError(
                f"{name} is given, but the validation split is empty",
                where=name,
                expected="validation rows",
                remedy=f"--validation-fraction 0.1, or omit --{name.replace('_', '-')}",
            )
            for name, is_needed in needed.items()
            if is_needed
        ]

    def chosen(self, evaluations: list[Evaluation]) -> dict[str, Any]:
        """The fields of the model's manifest about the evaluation of its weights."""
        if not evaluations:
            return {}
        chosen = evaluations[self.best(evaluations) if self.load_best else -1]
        return {
            "validation_metrics": chosen.metrics,
            "best_step": chosen.step if self.load_best else None,
        }

    def best(self, evaluations: list[Evaluation]) -> int:
        """The index of the best evaluation, the earliest of equal ones.

        Those whose loss is not finite are worst: even a diverged model has an accuracy.
        """
        sign = 1 if self.metric in LESS_IS_BETTER else -1
        values = [
            (not math.isfinite(e.metrics["loss"]), sign * e.metrics[self.metric])
            for e in evaluations
        ]
        return values.index(min(values))


def optimised_metric(parameters: Mapping[str, Any]) -> str:
    """The metric that selects the weights of a run, or stops it; empty if none does.

    Args:
        parameters: Parameters of finetune by name; those that are missing are at their defaults.
    """
    selects = parameters.get("load_best_model_at_end") or parameters.get("early_stopping_patience")
    return str(parameters.get("metric_for_best_model", Selection.metric)) if selects else ""
