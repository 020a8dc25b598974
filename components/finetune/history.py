"""What has happened in a run, besides what its variables hold."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Metrics of which less is better; of all others, more is.
_LESS_IS_BETTER = ("loss", "mae", "mse", "rmse")
# The columns of `History.times`.
ENDED_AT, SECONDS = range(2)


@dataclass(frozen=True)
class Evaluation:
    """What was measured on the validation split.

    Attributes:
        step: Updates made before it.
        metrics: By name: "loss", and what the task measures.
        wall_time: When, in seconds since 1970.
    """

    step: int
    metrics: dict[str, float]
    wall_time: float


@dataclass(frozen=True)
class Selection:
    """How the validation split decides.

    Attributes:
        metric: The metric that decides.
        patience: Evaluations without a better one after which training ends; None: it does not.
        load_best: Whether the weights of the best evaluation are the model, not the last ones.
    """

    metric: str = "loss"
    patience: int | None = None
    load_best: bool = False

    def check(self, metrics: list[str], validation_rows: int) -> None:
        """Check that what decides is measured.

        Args:
            metrics: What the task measures besides the loss.
            validation_rows: Rows of the validation split.

        Raises:
            InputError: If it is not.
        """
        if self.metric not in ("loss", *metrics):
            raise InputError(
                f"metric_for_best_model is '{self.metric}'",
                where="metric_for_best_model",
                expected="one of " + ", ".join(["loss", *metrics]),
                remedy="--metric-for-best-model loss",
            )
        if not validation_rows and (self.patience is not None or self.load_best):
            name = "load_best_model_at_end" if self.load_best else "early_stopping_patience"
            raise InputError(
                f"{name} is given, and the validation split is empty",
                where=name,
                expected="validation rows",
                remedy="--validation-fraction 0.1, or leave it out",
            )

    def chosen(self, evaluations: list[Evaluation]) -> dict[str, Any]:
        """What a model's manifest says of the evaluation whose weights it has."""
        if not evaluations:
            return {}
        chosen = evaluations[self.best(evaluations) if self.load_best else -1]
        return {
            "validation_metrics": chosen.metrics,
            "best_step": chosen.step if self.load_best else None,
        }

    def best(self, evaluations: list[Evaluation]) -> int:
        """The index of the best evaluation, the earliest of equal ones; NaN is worst."""
        sign = 1 if self.metric in _LESS_IS_BETTER else -1
        values = [sign * e.metrics[self.metric] for e in evaluations]
        return min(range(len(values)), key=lambda i: (math.isnan(values[i]), values[i]))


class BestWeights:
    """The weights of the best evaluation so far, in variables that a checkpoint holds too.

    Args:
        network: The model whose weights they are.
    """

    def __init__(self, network: Any) -> None:
        self._weights = network.weights
        self.variables = [tf.Variable(w, trainable=False) for w in self._weights]

    def keep(self) -> None:
        """Take the weights as they are now."""
        for kept, weight in zip(self.variables, self._weights, strict=True):
            kept.assign(weight)

    def put_back(self) -> None:
        """Give the model the weights that were kept."""
        for kept, weight in zip(self.variables, self._weights, strict=True):
            weight.assign(kept)


@dataclass
class History:
    """A run so far. With the variables, it is all that a resumed run has to know.

    Attributes:
        times: float64, shape [num_train_steps, 2]: when each update ended, in seconds since 1970,
            and how many seconds it took.
        updates_done: Updates made, known without asking the device.
        evaluations: In order.
        resumed_at: The updates after which the run was resumed.
        differences: What differed from the run that was resumed; empty if nothing did.
        stopped_at: Where training ended before its plan did.
    """

    times: NDArray[np.float64]
    updates_done: int = 0
    evaluations: list[Evaluation] = field(default_factory=list)
    resumed_at: list[int] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    stopped_at: StoppedAt | None = None

    @classmethod
    def of(cls, num_train_steps: int) -> History:
        """That of a run that has not begun."""
        return cls(np.zeros([num_train_steps, 2]))

    def dump(self) -> str:
        """All but the times, as JSON."""
        return json.dumps(
            {
                "updates_done": self.updates_done,
                "evaluations": [asdict(e) for e in self.evaluations],
                "resumed_at": self.resumed_at,
                "differences": self.differences,
                "stopped_at": self.stopped_at and self.stopped_at.model_dump(),
            }
        )

    def load(self, text: str, times: NDArray[np.float64]) -> None:
        """Become the history that was dumped."""
        said: dict[str, Any] = json.loads(text)
        self.times = times
        self.updates_done = said["updates_done"]
        self.evaluations = [Evaluation(**e) for e in said["evaluations"]]
        self.resumed_at = said["resumed_at"]
        self.differences = said["differences"]
        self.stopped_at = StoppedAt(**said["stopped_at"]) if said["stopped_at"] else None
