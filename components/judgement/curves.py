"""The curves of a training, measured in rate-time.

Adam moves weights by about the learning rate per step, so the sum of the rates so far is the
distance travelled. A rate that decays to 0 flattens every curve over the steps, but not over that
sum, in which a curve that is still falling can be told from one that has levelled out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

FEWEST_STEPS = 20
_LONGEST = 4  # a trend is not trusted further
_QUARTERS = np.linspace(0, 1, 5)


@dataclass(frozen=True)
class Trend:
    """The improvement over the third and the last quarter of rate-time, and what follows from it.

    Attributes:
        before: Over the third quarter.
        latest: Over the last quarter.
    """

    before: float = 0.0
    latest: float = 0.0

    def expected(self, times: float) -> float:
        """The improvement that training that many times as long would bring.

        Every further quarter is to the one before as the last one was to the third.
        """
        if self.latest <= 0:
            return 0.0
        ratio = min(1.0, self.latest / self.before) if self.before > 0 else 1.0
        return self.latest * sum(ratio**i for i in range(1, round(4 * (times - 1)) + 1))

    def times_to(self, improvement: float) -> int:
        """How many times as long training must be for an improvement: 2, 3 or 4."""
        return self._first(lambda times: self.expected(times) >= improvement)

    def times_until(self, worth: float) -> int:
        """How many times as long training must be until twice that brings less: 2, 3 or 4."""
        return self._first(lambda n: self.expected(2 * n) - self.expected(n) <= worth)

    def _first(self, is_enough: Callable[[int], bool]) -> int:
        return next((times for times in range(2, _LONGEST) if is_enough(times)), _LONGEST)


@dataclass(frozen=True)
class Curves:
    """The curves of a training log.

    Attributes:
        losses: Finite or not, float64, shape [logged steps].
        at: Rate-time after each of them, from 0 to 1.
        checks: Step, rate-time and metrics of every evaluation.
    """

    losses: np.ndarray
    at: np.ndarray
    checks: tuple[tuple[int, float, Mapping[str, float]], ...]

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Curves:
        """The curves of a log, as `artifacts.model.write_training_log` documents it."""
        steps = [r for r in records if r.get("loss") is not None]
        rates = np.array([float(r.get("learning_rate") or 0) for r in steps])
        travelled = np.cumsum(rates if rates.any() else np.ones(len(steps)))
        at = travelled / travelled[-1] if len(steps) else travelled
        numbers = np.array([int(r["step"]) for r in steps])

        def time_of(step: int) -> float:
            done = int(np.searchsorted(numbers, step))
            return float(at[done - 1]) if done else 0.0

        checks = [
            (int(r["step"]), time_of(int(r["step"])), r["validation"])
            for r in records
            if "validation" in r and math.isfinite(r["validation"].get("loss", math.nan))
        ]
        return cls(np.array([float(r["loss"]) for r in steps]), at, tuple(checks))

    @property
    def not_finite(self) -> int:
        """The number of steps whose loss is not finite."""
        return int((~np.isfinite(self.losses)).sum())

    @property
    def has_enough(self) -> bool:
        """Return True if there are enough steps to compare parts of the run."""
        return len(self.losses) >= FEWEST_STEPS

    @property
    def start(self) -> float:
        """The mean loss of the first fiftieth of the steps."""
        return float(self.losses[: max(1, len(self.losses) // 50)].mean())

    @property
    def end(self) -> float:
        """The mean loss of the last fifth of the steps."""
        return float(self.losses[-max(1, len(self.losses) // 5) :].mean())

    @property
    def lowest(self) -> float:
        """The lowest mean loss of any fifth of the steps."""
        fifth = max(1, len(self.losses) // 5)
        return float(np.convolve(self.losses, np.ones(fifth) / fifth, "valid").min())

    def fall(self, constant: float) -> Trend:
        """The trend of the loss: of the validation loss if it was evaluated at least twice.

        Args:
            constant: The loss of a constant answer, which the validation loss starts from.
        """
        if len(self.checks) > 1:
            return self._trend([m["loss"] for _, _, m in self.checks], constant, falls=True)
        return self.training_fall()

    def training_fall(self) -> Trend:
        """The trend of the training loss; none if a quarter of rate-time has no steps."""
        parts = [
            self.losses[(self.at > low) & (self.at <= high)]
            for low, high in pairwise(_QUARTERS[1:])
        ]
        if any(len(part) == 0 for part in parts):
            return Trend()
        second, third, last = (float(part.mean()) for part in parts)
        return Trend(second - third, third - last)

    def rise(self, metric: str, start: float) -> Trend:
        """The trend of a validation metric.

        Args:
            metric: Its name; more is better.
            start: Its value before training.
        """
        values = [m[metric] for _, _, m in self.checks if metric in m]
        if len(values) < 2 or len(values) != len(self.checks):
            return Trend()
        return self._trend(values, start, falls=False)

    def _trend(self, values: Sequence[float], start: float, *, falls: bool) -> Trend:
        at = [0.0, *(time for _, time, _ in self.checks)]
        first = start if math.isfinite(start) else values[0]
        _, _, half, third, last = np.interp(_QUARTERS, at, [first, *values])
        sign = 1 if falls else -1
        return Trend(sign * float(half - third), sign * float(third - last))
