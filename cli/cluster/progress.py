"""Estimate a step's current progress from its pod's last report.

Argo forwards a pod's report once per minute without its time, which is half a minute earlier on
average. Between two reports the step is assumed to continue at the same speed; the age of the
report is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kfp_finetune.progress.lines import duration

# An older report is no basis for an estimate.
_LONGEST = 150.0
_DELAY = timedelta(seconds=30)
_WIDTH = 16


@dataclass(frozen=True)
class Estimate:
    """The progress of a pipeline step.

    Attributes:
        done: Estimated number of training steps.
        total: Number of planned training steps.
        left: Remaining seconds; None if the rate is unknown.
        age: Seconds since the report.
        reported: Number of training steps in the report.
    """

    done: int
    total: int
    left: float | None
    age: float
    reported: int

    def line(self) -> str:
        """The progress as text, within 76 columns."""
        share = self.done / self.total
        filled = round(share * _WIDTH)
        left = f", about {duration(self.left)} left" if self.left is not None else ""
        bar = "█" * filled + "░" * (_WIDTH - filled)
        return f"{bar} {share:.0%} of {self.total:,} steps{left}, {self.remark}"

    @property
    def remark(self) -> str:
        """The approximate age of the report."""
        return f"as of {duration(round(self.age))} ago"


class Pace:
    """Estimates the progress of one pod from its reports."""

    def __init__(self, started: datetime | None) -> None:
        self._reports: list[tuple[datetime, int]] = [(started, 0)] if started else []
        self._total = 0

    def report(self, done: int, total: int, seen: datetime) -> None:
        """Add a report; one with an unchanged number is ignored.

        Args:
            done: Number of steps done.
            total: Number of planned steps.
            seen: The time at which Argo recorded it.
        """
        self._total = total
        if self._reports and self._reports[-1][1] == done:
            return
        self._reports.append((seen - _DELAY, done))
        # Start-up takes the first minutes, so the rate is computed from two reports.
        if len(self._reports) > 2 and self._reports[0][1] == 0:
            del self._reports[0]

    def now(self, moment: datetime | None = None) -> Estimate | None:
        """The estimated progress; None before the first report."""
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
