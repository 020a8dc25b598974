"""The fall of a loss at the end of a training, and whether it would go on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kfp_finetune.components.judgement.curves import Trend
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.number_text import number_text

# Shares of the loss of a constant answer.
WORTH_IT = 0.05  # a fall of the loss, or a rise of a score, that is worth training for
_ROOM = 0.15  # a loss below this cannot fall much further


@dataclass(frozen=True)
class Fall:
    """The fall of a loss at the end of a training.

    Attributes:
        name: "validation" or "training".
        level: The loss at the end.
        constant: The loss of a constant answer; if unknown, of the first steps.
        is_known: Whether the loss of a constant answer is known.
        room: The fall that is left until the loss is low.
        worth: The smallest fall that is worth training for.
        trend: The improvement over the last quarters.
    """

    name: str
    level: float
    constant: float
    is_known: bool
    room: float
    worth: float
    trend: Trend

    @classmethod
    def of(cls, facts: Facts) -> Fall:
        """The fall of the validation loss, or of the training loss without two evaluations.

        Training losses may be weighted, focal or smoothed, unlike validation losses.
        """
        curves = facts.curves
        validated = len(curves.checks) > 1
        if validated:
            level, floor, known = curves.checks[-1][2]["loss"], 0.0, facts.losses.constant
        else:
            level, floor, known = curves.end, facts.losses.smoothing, facts.losses.known_in_training
        constant = known if math.isfinite(known) else curves.start
        rows = facts.model.num_validation_examples
        whole = constant - floor
        return cls(
            name="validation" if validated else "training",
            level=level,
            constant=constant,
            is_known=math.isfinite(known),
            room=level - floor - _ROOM * whole,
            worth=WORTH_IT * whole,
            trend=curves.validation_fall(constant, rows) if validated else curves.training_fall(),
        )

    @property
    def may_go_on(self) -> bool:
        """Return True if the loss would fall further by its trend, whether that is clear or not."""
        return self.room > 0 and self.trend.expected(2) > self.worth

    @property
    def times(self) -> int:
        """How many times as long to train until the fall ends or the loss is low; 0: no fall."""
        if not (self.may_go_on and self.trend.is_clear):
            return 0
        return min(self.trend.times_until(self.worth), self.trend.times_to(self.room))

    @property
    def text(self) -> str:
        """The finding, as a clause."""
        text = (
            f"the {self.name} loss was still falling for every step that the learning rate allowed;"
            f" it ended at {number_text(self.level)}"
        )
        constant = f", and a constant answer's is {number_text(self.constant)}"
        return text + constant if self.is_known else text
