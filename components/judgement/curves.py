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

_FEWEST_STEPS = 20
_LONGEST = 4  # times as long: a trend is not trusted further
_QUARTERS = np.linspace(0, 1, 5)
_SURE = 2.0  # standard deviations of a change that is not chance
# With fewer steps than _FEW, the spread of the losses cannot be measured well: it is at least the
# usual one. It never counts more than the largest.
_FEW, _USUAL_SPREAD, _LARGEST_SPREAD = 10, 0.5, 1.0
_FEWEST_FOR_JITTER = 4
# The standard deviation of the losses of examples is about their mean; that of their changes is a
# little lower.
_OF_ROWS = 0.75
_AROUND = 1 / 16  # of rate-time, over which a validation metric is averaged


@dataclass(frozen=True)
class Trend:
    """The improvement over the third and the last quarter of rate-time, and its extrapolation.

    Attributes:
        before: Over the third quarter.
        latest: Over the last quarter.
        noise: An improvement over a quarter that may be chance.
    """

    before: float = 0.0
    latest: float = 0.0
    noise: float = 0.0

    @property
    def is_clear(self) -> bool:
        """Return True if the improvement over the last quarter is not chance."""
        return self.latest > self.noise

    def expected(self, times: float) -> float:
        """The improvement that training that many times as long would bring.

        Every further quarter is to the one before as the last one was to the third.
        """
        if self.latest <= 0:
            return 0.0
        ratio = min(1.0, self.latest / self.before) if self.before > 0 else 1.0
        return self.latest * sum(ratio**i for i in range(1, round(4 * (times - 1)) + 1))

    def times_to(self, improvement: float) -> int:
        """How many times as long to train for this improvement: 2, 3 or 4."""
        return self._first(lambda times: self.expected(times) >= improvement)

    def times_until(self, worth: float) -> int:
        """How many times as long to train until twice that brings no more than this: 2, 3 or 4."""
        return self._first(lambda n: self.expected(2 * n) - self.expected(n) <= worth)

    def _first(self, is_enough: Callable[[int], bool]) -> int:
        return next((times for times in range(2, _LONGEST) if is_enough(times)), _LONGEST)


@dataclass(frozen=True)
class Curves:
    """The curves of a training log.

    Attributes:
        losses: Finite or not, float64, shape [logged steps].
        at: Rate-time after each of them, from 0 to 1.
        checks: Step, rate-time and metrics of every evaluation with a finite loss.
        broken_at: Step of the last evaluation if its loss is not finite, else None.
    """

    losses: np.ndarray
    at: np.ndarray
    checks: tuple[tuple[int, float, Mapping[str, float]], ...]
    broken_at: int | None = None

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

        made = [
            (int(r["step"]), time_of(int(r["step"])), r["validation"])
            for r in records
            if "validation" in r
        ]
        checks = [c for c in made if math.isfinite(c[2].get("loss", math.nan))]
        broken = made[-1][0] if made and made[-1] not in checks else None
        return cls(np.array([float(r["loss"]) for r in steps]), at, tuple(checks), broken)

    @property
    def not_finite(self) -> int:
        """The number of steps whose loss is not finite."""
        return int((~np.isfinite(self.losses)).sum())

    @property
    def has_enough(self) -> bool:
        """Return True if there are enough steps to compare parts of the run."""
        return len(self.losses) >= _FEWEST_STEPS

    @property
    def start(self) -> float:
        """The mean loss of the first fiftieth of the steps; at most twice that of the first one.

        A rate that is far too high destroys a model in its first steps.
        """
        mean = float(self.losses[: max(1, len(self.losses) // 50)].mean())
        return min(mean, 2 * float(self.losses[0]))

    @property
    def end(self) -> float:
        """The mean loss of the last fifth of the steps."""
        return float(self.losses[-max(1, len(self.losses) // 5) :].mean())

    @property
    def lowest(self) -> float:
        """The lowest mean loss of any fifth of the steps."""
        fifth = max(1, len(self.losses) // 5)
        return float(np.convolve(self.losses, np.ones(fifth) / fifth, "valid").min())

    @property
    def spread(self) -> float:
        """The standard deviation of the loss of a step from batch to batch, as a share of it.

        It is measured from step to step in logarithms, in which neither a fall of the loss nor a
        single jump counts much.
        """
        if len(self.losses) < 2:
            return _USUAL_SPREAD
        logs = np.log(np.maximum(self.losses, 1e-3 * max(self.losses.max(), 1e-30)))
        spread = float(np.sqrt(np.square(np.diff(logs)).mean() / 2))
        if len(self.losses) < _FEW:
            spread = max(spread, _USUAL_SPREAD)
        return min(spread, _LARGEST_SPREAD)

    @property
    def end_noise(self) -> float:
        """The standard deviation of `end` by chance, as a share of it."""
        return self.spread / math.sqrt(max(1, len(self.losses) // 5))

    @property
    def has_risen(self) -> bool:
        """Return True if `end` is above `lowest` by more than chance."""
        if self.end <= 0 or self.lowest <= 0:
            return self.end > self.lowest
        # One more standard deviation, because the lowest part is chosen from many.
        return math.log(self.end / self.lowest) > (_SURE + 1) * math.sqrt(2) * self.end_noise

    def validation_fall(self, constant: float, rows: int | None) -> Trend:
        """The trend of the validation loss; there must be an evaluation.

        Args:
            constant: The loss of a constant answer, which the validation loss starts from.
            rows: Rows of the validation split; None: unknown.
        """
        values = [m["loss"] for _, _, m in self.checks]
        noise = self.jitter("loss")
        if rows:
            noise = max(noise, _OF_ROWS * values[-1] / math.sqrt(rows))
        return self._trend(values, constant, noise, falls=True)

    def jitter(self, metric: str) -> float:
        """A change of a validation metric between two evaluations that may be chance.

        It is measured by the second differences of the second half of the evaluations, in which
        a steady rise or fall does not count; 0 if there are too few.
        """
        values = np.array([m[metric] for _, _, m in self.checks if metric in m])
        late = values[len(values) // 2 :]
        if len(late) < _FEWEST_FOR_JITTER:
            late = values
        if len(late) < _FEWEST_FOR_JITTER:
            return 0.0
        # The sum of the squared weights 1, -2 and 1 is 6.
        deviation = float(np.sqrt(np.square(np.diff(late, 2)).mean() / 6))
        return _SURE * math.sqrt(2) * deviation

    def training_fall(self) -> Trend:
        """The trend of the training loss; none if a quarter of rate-time has no steps."""
        parts = [
            self.losses[(self.at > low) & (self.at <= high)]
            for low, high in pairwise(_QUARTERS[1:])
        ]
        if any(len(part) == 0 for part in parts):
            return Trend()
        second, third, last = (float(part.mean()) for part in parts)
        noise = self.spread * math.hypot(
            *(float(part.mean()) / math.sqrt(len(part)) for part in parts[1:])
        )
        # Two falls in a row are chance less often than one.
        twice = min(second - third, third - last) > _SURE * noise / 2
        return Trend(second - third, third - last, _SURE * noise / (2 if twice else 1))

    def rise(self, metric: str, start: float, noise: float = 0.0) -> Trend:
        """The trend of a validation metric.

        Args:
            metric: Its name; more is better.
            start: Its value before training.
            noise: A rise that may be chance.
        """
        values = [m[metric] for _, _, m in self.checks if metric in m]
        if len(values) < 2 or len(values) != len(self.checks):
            return Trend()
        return self._trend(values, start, max(noise, self.jitter(metric)), falls=False)

    def _trend(self, values: Sequence[float], start: float, noise: float, *, falls: bool) -> Trend:
        at = [0.0, *(time for _, time, _ in self.checks)]
        first = start if math.isfinite(start) else values[0]
        around = np.linspace(_QUARTERS - _AROUND, _QUARTERS + _AROUND, 9).clip(0, 1)
        _, _, half, third, last = np.interp(around, at, [first, *values]).mean(axis=0)
        sign = 1 if falls else -1
        return Trend(sign * float(half - third), sign * float(third - last), noise)
