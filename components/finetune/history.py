"""What has happened in a run, besides what its variables hold."""

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
    """Where tables of updates, which do not grow beyond a size, hold what.

    Of the updates that are kept each has a row; of a run that keeps only some, one row more holds
    the latest of the others.

    Args:
        num_train_steps: Updates planned.

    Attributes:
        stride: Updates from one that is kept to the next.
        count: Rows.
    """

    def __init__(self, num_train_steps: int) -> None:
        self.stride = stride(num_train_steps)
        self.count = len(kept_steps(num_train_steps)) + (self.stride > 1)

    def of(self, step: int) -> int:
        """The row of update number `step`."""
        row, rest = divmod(step, self.stride)
        return self.count - 1 if rest else row

    def written(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Step and row of the updates from `begin` up to `end` that a row holds."""
        first = -(-begin // self.stride) * self.stride
        found = [(step, step // self.stride) for step in range(first, end, self.stride)]
        if end > begin and (end - 1) % self.stride:
            found.append((end - 1, self.count - 1))
        return found


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
        self._weights = [weight.value for weight in network.weights]
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
        times: float64, shape [rows, 2]: when the update of each row ended, in seconds since 1970,
            and how many seconds it took; rows as `LogRows` has them.
        num_train_steps: Updates planned.
        seconds: How long all updates took, evaluations left out.
        updates_done: Updates made, known without asking the device.
        evaluations: In order.
        resumed_at: The updates after which the run was resumed.
        differences: What differed from the run that was resumed; empty if nothing did.
        stopped_at: Where training ended before its plan did.
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
        """That of a run that has not begun."""
        return cls(np.zeros([LogRows(num_train_steps).count, 2]), num_train_steps)

    def dump(self) -> str:
        """All but the times and the plan, as JSON."""
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
        """Become the history that was dumped."""
        said: dict[str, Any] = json.loads(text)
        self.times = times
        self.updates_done = said["updates_done"]
        self.seconds = said.get("seconds", float(times[:, SECONDS].sum()))
        self.evaluations = [Evaluation(**e) for e in said["evaluations"]]
        self.resumed_at = said["resumed_at"]
        self.differences = said["differences"]
        self.stopped_at = StoppedAt(**said["stopped_at"]) if said["stopped_at"] else None
