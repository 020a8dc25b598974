"""The facts that a verdict follows from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.optimizer_config import USUAL_RATES
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.chosen import choose_learning_rate, choose_num_train_epochs
from kfp_finetune.components.judgement.curves import Curves
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.problem_type import ProblemType
from kfp_finetune.components.tasks.registry import get_problem_type
from kfp_finetune.components.tasks.results import Result

# Test examples with which a recall of 0 is more than chance.
_ENOUGH = 5


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

        The validation split is drawn from the training split, or is like the evaluated one. Of
        these the lower loss counts: a test split with more entities would make all falls look
        small. Infinite if neither is known.
        """
        known = [self.metrics.baseline.get("loss", math.inf)]
        if self.has_plain_loss and self.model.constant_loss is not None:
            known.append(self.model.constant_loss)
        return min(known)

    @property
    def has_plain_loss(self) -> bool:
        """Return True if training minimised the loss that evaluations measure."""
        return self._loss.is_plain

    @property
    def whole_loss(self) -> float:
        """The training loss of a model that knows nothing, with which losses are compared."""
        return min(self.curves.start, self.constant_training_loss)

    @property
    def constant_training_loss(self) -> float:
        """The training loss of a constant answer; that of the start if it is unknown."""
        if self.model.constant_loss is not None:
            return self.model.constant_loss
        # A model that was trained before it was recorded.
        known = self.constant_loss if self.has_plain_loss else math.inf
        return known if math.isfinite(known) else self.curves.start

    @property
    def weighting(self) -> dict[str, Any]:
        """The parameters that weighted labels in the training loss; empty for the plain loss."""
        return self._loss.weighting

    @cached_property
    def _loss(self) -> LossParameters:
        return LossParameters.of(vars(self.model))

    @property
    def lost_labels(self) -> int:
        """The number of rare labels with recall 0, if neither this run nor one before weighted."""
        if self.weighting or any(run.weighting for run in self.tried):
            return 0
        return sum(
            label.recall == 0 and label.test_examples >= _ENOUGH
            for label in self.metrics.rare_labels
        )

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return self.model.optimizer.schedule.learning_rate

    @property
    def usual_rate(self) -> float:
        """The default rate for this model and optimizer."""
        return choose_learning_rate(self.model.hidden_size, self.model.optimizer.name)

    @property
    def rate_bounds(self) -> tuple[float, float]:
        """The lowest and the highest rate that are advised for this optimizer."""
        usual = USUAL_RATES[self.model.optimizer.name]
        return usual.lowest, usual.highest

    @property
    def usual_epochs(self) -> int:
        """The default number of epochs for these rows."""
        return choose_num_train_epochs(self.model.num_train_examples, len(self.model.label_names))

    @property
    def has_kept_best(self) -> bool:
        """Return True if the weights are those of an evaluation before the last one."""
        checks = self.curves.checks
        return bool(checks) and self.model.best_step not in (None, checks[-1][0])

    @property
    def noise(self) -> float:
        """Half the 95 % interval of the headline metric; 0 if it has none."""
        low, high = self.metrics.intervals.get(self.kind.metric, (0.0, 0.0))
        return (high - low) / 2

    @property
    def longer_was_worse(self) -> bool:
        """Return True if a run that this one repeats overfitted with more steps."""
        return any(
            run.kind == "overfitted" and run.num_train_steps > self.model.num_train_steps
            for run in self.tried
        )
