"""The history of a run: times, evaluations, resumptions; everything that is not a variable."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.load_data.sampling import kept_steps, stride

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The columns of `History.times`.
ENDED_AT, SECONDS = range(2)


class LogRows:
    """The rows of tables with one row per logged step, whose size is bounded.

    Short runs log every step. Long runs log every `stride`-th step, and one more row holds the
    latest step between two logged ones.

    Args:
        num_train_steps: Number of planned steps.

    Attributes:
        stride: Steps from one logged step to the next.
        count: Number of rows.
    """

    def __init__(self, num_train_steps: int) -> None:
        self.stride = stride(num_train_steps)
        self.count = len(kept_steps(num_train_steps)) + (self.stride > 1)

    def of(self, step: int) -> int:
        """The row of step `step`."""
        row, rest = divmod(step, self.stride)
        return self.count - 1 if rest else row

    def written(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Step and row of the steps from `begin` up to `end` that are in the table."""
        first = -(-begin // self.stride) * self.stride
        found = [(step, step // self.stride) for step in range(first, end, self.stride)]
        if end > begin and (end - 1) % self.stride:
            found.append((end - 1, self.count - 1))
        return found


@dataclass(frozen=True)
class Evaluation:
    """An evaluation on the validation split.

    Attributes:
        step: Steps made before it.
        metrics: Values by name: "loss", and the metrics of the task.
        wall_time: Time of the evaluation, in seconds since 1970.
    """

    step: int
    metrics: dict[str, float]
    wall_time: float


class BestWeights:
    """A copy of a model's weights, in variables that checkpoints include.

    Args:
        network: The model.
    """

    def __init__(self, network: Any) -> None:
        self._weights = [weight.value for weight in network.weights]
        self.variables = [tf.Variable(w, trainable=False) for w in self._weights]

    def keep(self) -> None:
        """Copy the current weights."""
        for kept, weight in zip(self.variables, self._weights, strict=True):
            kept.assign(weight)

    def put_back(self) -> None:
        """Copy the weights back into the model."""
        for kept, weight in zip(self.variables, self._weights, strict=True):
            weight.assign(kept)


@dataclass
class History:
    """The history of a run. Together with the variables, it is all that a resumed run needs.

    Attributes:
        times: float64, shape [rows, 2]: the time when the step of each row ended, in seconds
            since 1970, and its duration in seconds; rows as in `LogRows`.
        num_train_steps: Number of planned steps.
        seconds: Duration of all steps, without evaluations.
        updates_done: Number of steps made, counted without asking the device.
        evaluations: Evaluations in order.
        resumed_at: Numbers of steps after which the run was resumed.
        differences: Differences from the run that was resumed; empty if there were none.
        stopped_at: Step and reason, if training stopped before the end of its plan.
    """

    times: NDArray[np.float64]
    num_train_steps: int
    seconds: float = 0.0
    updates_done: int = 0
    evaluations: list[Evaluation] = field(default_factory=list)
    resumed_at: list[int] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    stopped_at: StoppedAt | None = None

    @classmethod
    def of(cls, num_train_steps: int) -> History:
        """The history of a run that has not started."""
        return cls(np.zeros([LogRows(num_train_steps).count, 2]), num_train_steps)

    def dump(self) -> str:
        """Everything but the times and the plan, as JSON."""
        return json.dumps(
            {
                "updates_done": self.updates_done,
                "seconds": self.seconds,
                "evaluations": [asdict(e) for e in self.evaluations],
                "resumed_at": self.resumed_at,
                "differences": self.differences,
                "stopped_at": self.stopped_at and self.stopped_at.model_dump(),
            }
        )

    def load(self, text: str, times: NDArray[np.float64]) -> None:
        """Restore a history that was dumped."""
        loaded: dict[str, Any] = json.loads(text)
        self.times = times
        self.updates_done = loaded["updates_done"]
        self.seconds = loaded.get("seconds", float(times[:, SECONDS].sum()))
        self.evaluations = [Evaluation(**e) for e in loaded["evaluations"]]
        self.resumed_at = loaded["resumed_at"]
        self.differences = loaded["differences"]
        self.stopped_at = StoppedAt(**loaded["stopped_at"]) if loaded["stopped_at"] else None
