"""The facts on which a verdict is based."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER, Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.optimizer_config import usual_rates
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.build_optimizer.schedules import highest_rate
from kfp_finetune.components.chosen import choose_learning_rate, choose_num_train_epochs
from kfp_finetune.components.judgement.curves import Curves
from kfp_finetune.components.judgement.losses import Losses
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.problem_type import ProblemType
from kfp_finetune.components.tasks.registry import get_problem_type
from kfp_finetune.components.tasks.results import Result

# With fewer test examples, a recall of 0 may be chance.
_ENOUGH = 5
# A constant answer that is always right has a loss of 0, up to rounding.
_ALWAYS_RIGHT = 1e-9


@dataclass(frozen=True)
class Facts:
    """A training and its scores.

    Attributes:
        metrics: The metrics of the test split.
        model: The model's manifest.
        records: The training log.
        tried: The runs that this one repeats with changes, the first one first.
        on_other_data: Whether the scores are on data that the model was not trained for.
    """

    metrics: Metrics
    model: ModelManifest
    records: Sequence[Mapping[str, Any]]
    tried: tuple[Tried, ...] = field(default=())
    on_other_data: bool = False

    @cached_property
    def kind(self) -> ProblemType:
        """The problem type."""
        return get_problem_type(self.model.problem_type)

    @cached_property
    def result(self) -> Result:
        """The score beside that of a constant answer."""
        return self.kind.result(self.metrics)

    @cached_property
    def curves(self) -> Curves:
        """The curves of the log."""
        return Curves.of(self.records)

    @cached_property
    def losses(self) -> Losses:
        """The losses beside those of a constant answer."""
        of_test = self.metrics.baseline.get("loss", math.inf)
        return Losses(self.curves, self.model, math.inf if self.has_one_answer else of_test)

    @property
    def has_one_answer(self) -> bool:
        """Return True if a constant answer is right for every test example.

        Numbers have no R² if all are equal.
        """
        baseline = self.metrics.baseline
        if not self.kind.has_labels:
            return "r2" not in self.metrics.metrics
        if "loss" in baseline:
            return baseline["loss"] <= _ALWAYS_RIGHT
        return baseline.get("accuracy", 0.0) >= 1

    @property
    def calibrated_loss(self) -> float | None:
        """The log loss of the predicted probabilities, with the temperature; None if unknown."""
        if not (calibration := self.metrics.calibration):
            return None
        return (calibration.after or calibration.before).loss

    @property
    def weighting(self) -> dict[str, Any]:
        """The parameters that weighted labels in the training loss; empty for the plain loss."""
        return LossParameters.of(vars(self.model)).weighting

    @property
    def lost_labels(self) -> int:
        """The number of rare labels with recall 0; 0 if this run or one before weighted labels.

        Labels without training examples do not count: no weight helps them.
        """
        if self.weighting or any(run.weighting for run in self.tried):
            return 0
        return sum(
            label.recall == 0 and label.test_examples >= _ENOUGH
            for label in self.metrics.rare_labels
            if label.train_examples
        )

    @property
    def rate(self) -> float:
        """The highest learning rate of the steps that were made."""
        return highest_rate(self.model.optimizer.schedule, self.model.updates_done)

    @property
    def planned_rate(self) -> float:
        """The highest learning rate of the whole schedule."""
        return highest_rate(self.model.optimizer.schedule, self.model.num_train_steps + 1)

    @property
    def usual_rate(self) -> float:
        """The default rate for this model and optimizer."""
        optimizer = self.model.optimizer
        return choose_learning_rate(self.model.hidden_size, optimizer.name, optimizer.momentum)

    @property
    def rate_bounds(self) -> tuple[float, float]:
        """The lowest and the highest rate that are advised for this optimizer."""
        usual = usual_rates(self.model.optimizer.name, self.model.optimizer.momentum)
        return usual.lowest, usual.highest

    @property
    def usual_epochs(self) -> int:
        """The default number of epochs for these rows."""
        return choose_num_train_epochs(self.model.num_train_examples, len(self.model.label_names))

    @property
    def has_kept_best(self) -> bool:
        """Return True if the weights are those of an evaluation before the last one."""
        curves = self.curves
        if self.model.best_step is None or not curves.checks:
            return False
        return curves.broken_at is not None or self.model.best_step != curves.checks[-1][0]

    def noise_of(self, metric: str) -> float:
        """Half the 95 % interval of a metric on the validation split.

        It is that of the test split, scaled by the number of examples; 0 if it is not known. It is
        not scaled for tags, because the number of rows is not that of words.
        """
        rows = self.model.num_validation_examples
        low, high = self.metrics.intervals.get(metric, (0.0, 0.0))
        if not rows or self.kind.background:
            return (high - low) / 2
        if high > low:
            return (high - low) / 2 * math.sqrt(self.metrics.num_examples / rows)
        return 0.0 if metric in LESS_IS_BETTER else 1 / math.sqrt(rows)

    @property
    def short_patience(self) -> int:
        """The patience if early stopping ended training before half of its plan, else 0."""
        model = self.model
        if model.stopped_at is None or model.updates_done >= model.num_train_steps / 2:
            return 0
        return int((model.parameters or {}).get("early_stopping_patience") or 0)

    @property
    def longer_was_worse(self) -> bool:
        """Return True if a run that this one repeats overfitted with more steps."""
        return any(
            run.kind == "overfitted" and run.num_train_steps > self.model.updates_done
            for run in self.tried
        )
