"""The losses of a training beside those of a constant answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.judgement.curves import Curves
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.registry import get_problem_type


@dataclass(frozen=True)
class Losses:
    """The losses of a training, and what they are compared with.

    Attributes:
        curves: The curves of the log.
        model: The model's manifest.
        of_test: The loss of a constant answer on the test split; infinite if it is unknown, or if
            a constant answer is always right there.
    """

    curves: Curves
    model: ModelManifest
    of_test: float

    @property
    def is_plain(self) -> bool:
        """Return True if training minimised the loss that evaluations measure."""
        return LossParameters.of(vars(self.model)).is_plain

    @property
    def constant(self) -> float:
        """The loss of a constant answer, with which validation losses are compared.

        It is measured on the training split, from which the validation split is usually drawn; a
        test split may have many more or fewer examples of a label. If training minimised another
        loss, it is that of the test split. Infinite if unknown.
        """
        if self.is_plain and self.model.constant_loss is not None:
            return self.model.constant_loss
        return self.of_test

    @property
    def known_in_training(self) -> float:
        """The training loss of a constant answer; infinite if it is unknown."""
        if self.model.constant_loss is not None:
            return self.model.constant_loss
        # A model that was trained before it was recorded.
        return self.of_test if self.is_plain else math.inf

    @property
    def constant_in_training(self) -> float:
        """The training loss of a constant answer; that of the start if it is unknown."""
        known = self.known_in_training
        return known if math.isfinite(known) else self.curves.start

    @property
    def smoothing(self) -> float:
        """The part of the training loss that label smoothing adds even to perfect answers."""
        share, labels = self.model.label_smoothing_factor, len(self.model.label_names)
        if not share or not labels:
            return 0.0
        is_sigmoid = get_problem_type(self.model.problem_type).activation == "sigmoid"
        others = 1 if is_sigmoid else labels - 1
        each = share / (others + 1)
        own = 1 - others * each
        floor = -own * math.log(own) - (others * each * math.log(each) if others else 0.0)
        return min(floor, 0.9 * self.constant_in_training)

    @property
    def training_range(self) -> float:
        """The training loss of a constant answer, without the part of label smoothing."""
        return self.constant_in_training - self.smoothing

    @property
    def training_left(self) -> float:
        """The training loss at the end as a share of that range."""
        whole = self.training_range
        return (self.curves.end - self.smoothing) / whole if whole > 0 else 0.0

    @property
    def lowest_validation(self) -> float:
        """The lowest validation loss; infinite without evaluations."""
        return min((check[2]["loss"] for check in self.curves.checks), default=math.inf)

    @property
    def validation_left(self) -> float:
        """The last validation loss as a share of a constant answer's; infinite if unknown."""
        checks = self.curves.checks
        known = checks and math.isfinite(self.constant)
        return checks[-1][2]["loss"] / self.constant if known else math.inf
