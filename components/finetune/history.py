"""What has happened in a run, besides what its variables hold."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.artifacts.model import StoppedAt

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
