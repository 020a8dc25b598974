"""The interface of screens, and plain lines for pipes and logs."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Sequence
from typing import Protocol

from kfp_finetune.components.inert import is_steering

SECONDS_BETWEEN_LINES = 30.0
_PERCENT_BETWEEN_LINES = 10
# A cluster does not report which run the cache entry came from.
FROM_CACHE = "from the cache"


class Screen(Protocol):
    """Shows the progress of a run. Steps start and end one at a time."""

    def heading(self, text: str) -> None:
        """Show a heading."""

    def started(self, step: str) -> None:
        """A step has started."""

    def progress(self, step: str, done: int, total: int | None, unit: str, detail: str) -> None:
        """A step has made progress."""

    def note(self, step: str, text: str) -> None:
        """Show a note of a step."""

    def ended(self, step: str, outcome: str, remark: str) -> None:
        """A step has ended; the outcome is one of done, cached, failed, interrupted, terminated."""

    def summary(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """The run has succeeded; show names and values."""

    def close(self) -> None:
        """Restore the terminal."""


def clean(text: str) -> str:
    """Text from data or a library on one line, without control characters."""
    safe = (
        c if not is_steering(c) else " " if unicodedata.category(c) != "Cf" else "" for c in text
    )
    return "".join(safe).strip()


def duration(seconds: float) -> str:
    """Format a duration: "3.2 s", "2 min 05 s", "1 h 04 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Pace:
    """The speed of a step since its first count."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._last = 0

    def rate(self, done: int, now: float) -> float:
        """Units per second; 0 while unknown. If the count decreases, a new count has started."""
        if self._first is None or done < self._last:
            self._first = now, done
        self._last = done
        began, before = self._first
        return (done - before) / (now - began) if done > before and now > began else 0.0


def rate_text(rate: float, unit: str) -> str:
    """Format a rate: "12,345 rows/s", "0.52 steps/s"."""
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


class PlainScreen:
    """Lines for a pipe, a log or CI, without control characters, wrapping or truncation."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._printed_at = 0.0
        self._printed_percent = 0

    def heading(self, text: str) -> None:
        """See `Screen`."""
        self._print(text)

    def started(self, step: str) -> None:
        """See `Screen`."""
        self._pace = Pace()
        self._printed_at = time.monotonic()
        self._printed_percent = 0
        self._print(f"{step}: started")

    def progress(self, step: str, done: int, total: int | None, unit: str, detail: str) -> None:
        """See `Screen`: a line for every 10 % that took at least a second, and every 30 s."""
        now = time.monotonic()
        rate = self._pace.rate(done, now)
        percent = 100 * done // total if total else 0
        late = now - self._printed_at >= SECONDS_BETWEEN_LINES
        far = (
            percent - self._printed_percent >= _PERCENT_BETWEEN_LINES
            and now - self._printed_at >= 1
        )
        if not (late or far) or done == total:
            return
        self._printed_at = now
        self._printed_percent = percent - percent % _PERCENT_BETWEEN_LINES
        parts = [f"{done:,}/{total:,} {unit} ({percent} %)" if total else f"{done:,} {unit}"]
        if rate:
            parts.append(rate_text(rate, unit))
        if total and rate:
            parts.append(f"{duration((total - done) / rate)} left")
        self._print(f"{step}: " + ", ".join(p for p in (*parts, detail) if p))

    def note(self, step: str, text: str) -> None:
        """See `Screen`."""
        self._print(f"{step}: {text}")

    def ended(self, step: str, outcome: str, remark: str) -> None:
        """See `Screen`."""
        if remark == FROM_CACHE:
            self._print(f"{step}: {remark}")
        else:
            self._print(f"{step}: {outcome}" + (f", {remark}" if remark else ""))

    def summary(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """See `Screen`."""
        self._print(title)
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            print(f"  {clean(name):<{width}}  {clean(value)}")
        sys.stdout.flush()

    def close(self) -> None:
        """See `Screen`."""

    def _print(self, text: str) -> None:
        print(clean(text), flush=True)


class SilentScreen:
    """Shows nothing."""

    def heading(self, text: str) -> None:
        """See `Screen`."""

    def started(self, step: str) -> None:
        """See `Screen`."""

    def progress(self, step: str, done: int, total: int | None, unit: str, detail: str) -> None:
        """See `Screen`."""

    def note(self, step: str, text: str) -> None:
        """See `Screen`."""

    def ended(self, step: str, outcome: str, remark: str) -> None:
        """See `Screen`."""

    def summary(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """See `Screen`."""

    def close(self) -> None:
        """See `Screen`."""
