"""How far a step is: what its pod last reported, carried on to now.

Argo passes a pod's report on once a minute, and does not say when the pod made it: on average half
a minute before. Between two reports the step is taken to go on as fast as before, and what is shown
says how old the report is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kfp_finetune.progress.lines import duration

# A report that is older says little of where the step is now.
_LONGEST = 150.0
_DELAY = timedelta(seconds=30)
_WIDTH = 16


@dataclass(frozen=True)
class Estimate:
    """How far a step is by now.

    Attributes:
        done: Steps, estimated.
        total: Of how many.
        left: Seconds; None if the rate is not known.
        age: Seconds since the report.
        reported: Steps, as reported.
    """

    done: int
    total: int
    left: float | None
    age: float
    reported: int

    def line(self) -> str:
        """As a person reads it, within 76 columns."""
        share = self.done / self.total
        filled = round(share * _WIDTH)
        left = f", about {duration(self.left)} left" if self.left is not None else ""
        bar = "█" * filled + "░" * (_WIDTH - filled)
        return f"{bar} {share:.0%} of {self.total:,} steps{left}, {self.remark}"

    @property
    def remark(self) -> str:
        """How old the report is, about."""
        return f"as of {duration(round(self.age))} ago"


class Pace:
    """Estimates how far one pod is, from its reports."""

    def __init__(self, started: datetime | None) -> None:
        self._reports: list[tuple[datetime, int]] = [(started, 0)] if started else []
        self._total = 0

    def report(self, done: int, total: int, seen: datetime) -> None:
        """Take in a report; the same number again is none.

        Args:
            done: Steps done.
            total: Of how many.
            seen: When Argo wrote it down.
        """
        self._total = total
        if self._reports and self._reports[-1][1] == done:
            return
        self._reports.append((seen - _DELAY, done))
        # The first minutes went into starting up: two reports tell the rate better.
        if len(self._reports) > 2 and self._reports[0][1] == 0:
            del self._reports[0]

    def now(self, moment: datetime | None = None) -> Estimate | None:
        """How far it is; None before the first report."""
        if not self._total or not self._reports:
            return None
        seen, reported = self._reports[-1]
        age = max(0.0, ((moment or datetime.now(UTC)) - seen).total_seconds())
        first, before = self._reports[0]
        seconds = (seen - first).total_seconds()
        rate = (reported - before) / seconds if seconds > 0 else 0.0
        done = min(self._total, round(reported + rate * min(age, _LONGEST)))
        left = (self._total - done) / rate if rate > 0 else None
        return Estimate(done, self._total, left, age, reported)
