"""The parameters of the training loss, and their checks.

Nothing here needs numpy or TensorFlow, so that the light client checks parameters, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.class_weights import NONE, named_weights

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.problem_type import ProblemType

_MOST_GAMMA = 10  # the paper tries 0 to 5; with large ones, (1 - p)^gamma is 0 in float32


@dataclass(frozen=True, kw_only=True)
class LossParameters:
    """The parameters of the training loss; with the defaults it is the plain loss.

    Attributes:
        label_smoothing_factor: Share of each label's weight that is spread over all labels.
        class_weights: Weights of labels, see `class_weights.named_weights`.
        focal_gamma: Exponent of the focal loss (Lin et al. 2017, arXiv:1708.02002): the log loss
            of an example is multiplied by (1 - p)^gamma, where p is the probability of its label.
    """

    label_smoothing_factor: float = 0.0
    class_weights: str = NONE
    focal_gamma: float = 0.0

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> LossParameters:
        """Those among the parameters of finetune."""
        return cls(**{field.name: parameters[field.name] for field in fields(cls)})

    @property
    def is_plain(self) -> bool:
        """Return True if all are at their defaults."""
        return self == LossParameters()

    def problems(
        self, types: Sequence[ProblemType], of_task: Sequence[ProblemType]
    ) -> list[InputError]:
        """Everything that is wrong with them.

        Args:
            types: The problem types that the data may have; a value is refused if it has no
                meaning for any of them.
            of_task: All problem types of the task, for messages.
        """
        has_labels = any(kind.has_labels for kind in types)
        expected = " or ".join(kind.name for kind in of_task if kind.has_labels)
        found = [*self._of_smoothing(), *self._of_focus()]
        found += InputError.found_by(lambda: named_weights(self.class_weights))
        wrong = {problem.where.split(":")[0] for problem in found}
        default = LossParameters()
        for field in fields(self):
            value = getattr(self, field.name)
            if has_labels or field.name in wrong or value == getattr(default, field.name):
                continue
            text = value if isinstance(value, str) else f"{value:g}"
            found.append(
                InputError(
                    f"{field.name} is {text}, but {types[0].name} has no labels",
                    where=field.name,
                    expected=expected,
                    remedy=f"omit --{field.name.replace('_', '-')}",
                )
            )
        return found

    @property
    def weighting(self) -> dict[str, Any]:
        """Those that decide how much the examples of a label count, if not at their defaults."""
        found = {"class_weights": self.class_weights, "focal_gamma": self.focal_gamma}
        return {name: value for name, value in found.items() if value not in (NONE, 0)}

    def _of_smoothing(self) -> list[InputError]:
        if 0 <= self.label_smoothing_factor < 1:
            return []
        return [
            InputError(
                f"label_smoothing_factor is {self.label_smoothing_factor:g}",
                where="label_smoothing_factor",
                expected="a share of at least 0 and below 1",
                remedy="--label-smoothing-factor 0.1",
            )
        ]

    def _of_focus(self) -> list[InputError]:
        if not 0 <= self.focal_gamma <= _MOST_GAMMA:
            return [
                InputError(
                    f"focal_gamma is {self.focal_gamma:g}",
                    where="focal_gamma",
                    expected=f"a number from 0 to {_MOST_GAMMA}; 2 is usual",
                    remedy="--focal-gamma 2",
                )
            ]
        if not (self.focal_gamma and self.label_smoothing_factor):
            return []
        return [
            InputError(
                f"focal_gamma is {self.focal_gamma:g} and label_smoothing_factor is"
                f" {self.label_smoothing_factor:g}",
                where="focal_gamma",
                expected="one of the two: the focal loss is defined for labels without smoothing",
                remedy="omit --label-smoothing-factor, or omit --focal-gamma",
            )
        ]
