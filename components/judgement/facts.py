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

    @property
    def constant_loss(self) -> float:
        """The loss of a constant answer, with which validation losses are compared.

        It is measured on the training split, from which the validation split is usually drawn; a
        test split may have many more or fewer examples of a label. If training minimised another
        loss, it is that of the test split, unless a constant answer is always right there.
        Infinite if unknown.
        """
        if self.has_plain_loss and self.model.constant_loss is not None:
            return self.model.constant_loss
        if self.has_one_answer:
            return math.inf
        return self.metrics.baseline.get("loss", math.inf)

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
    def lowest_check(self) -> float:
        """The lowest validation loss; infinite without evaluations."""
        return min((check[2]["loss"] for check in self.curves.checks), default=math.inf)

    @property
    def has_plain_loss(self) -> bool:
        """Return True if training minimised the loss that evaluations measure."""
        return self._loss.is_plain

    @property
    def smoothing_loss(self) -> float:
        """The part of the training loss that label smoothing adds even to perfect answers."""
        share, labels = self.model.label_smoothing_factor, len(self.model.label_names)
        if not share or not labels:
            return 0.0
        others = 1 if self.kind.activation == "sigmoid" else labels - 1
        each = share / (others + 1)
        own = 1 - others * each
        floor = -own * math.log(own) - (others * each * math.log(each) if others else 0.0)
        return min(floor, 0.9 * self.constant_training_loss)

    @property
    def training_left(self) -> float:
        """The training loss at the end, as a share of a constant answer's, without smoothing's."""
        floor = self.smoothing_loss
        whole = self.constant_training_loss - floor
        return (self.curves.end - floor) / whole if whole > 0 else 0.0

    @property
    def validation_left(self) -> float:
        """The last validation loss, as a share of a constant answer's; infinite if unknown."""
        checks = self.curves.checks
        known = checks and math.isfinite(self.constant_loss)
        return checks[-1][2]["loss"] / self.constant_loss if known else math.inf

    @property
    def constant_training_loss(self) -> float:
        """The training loss of a constant answer; that of the start if it is unknown."""
        known = self.known_training_loss
        return known if math.isfinite(known) else self.curves.start

    @property
    def known_training_loss(self) -> float:
        """The training loss of a constant answer; infinite if it is unknown."""
        if self.model.constant_loss is not None:
            return self.model.constant_loss
        # A model that was trained before it was recorded.
        return self.constant_loss if self.has_plain_loss else math.inf

    @property
    def weighting(self) -> dict[str, Any]:
        """The parameters that weighted labels in the training loss; empty for the plain loss."""
        return self._loss.weighting

    @cached_property
    def _loss(self) -> LossParameters:
        return LossParameters.of(vars(self.model))

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
