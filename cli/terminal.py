"""The screen on a terminal: a live line for the step at work, a tick for each that is done."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from kfp_finetune.cli.screen import Pace, clean, rate_text

_SIGNS = {
    "done": "[green]✓[/]",
    "cached": "[cyan]✓[/]",
    "failed": "[red]✗[/]",
    "interrupted": "[yellow]■[/]",
    "terminated": "[yellow]■[/]",
}
_NAME_WIDTH = 16


class TerminalScreen:
    """Rich's progress bar for the step at work; what is done scrolls up."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._console = Console(highlight=False, stderr=stderr)
        self._pace = Pace()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn(f"[bold]{{task.description:<{_NAME_WIDTH}}}[/]"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[detail]}[/]"),
            console=self._console,
            transient=True,
            refresh_per_second=5,
        )
        self._task = self._progress.add_task("", visible=False, count="", rate="", detail="")
        self._notes: list[str] = []
        self._progress.start()

    def heading(self, text: str) -> None:
        """See `Screen`."""
        self._print(f"[bold]{_safe(text)}[/]")

    def started(self, step: str) -> None:
        """See `Screen`."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(step, total=None, count="", rate="", detail="")
        self._pace = Pace()

    def progress(self, step: str, done: int, total: int | None, unit: str, detail: str) -> None:
        """See `Screen`."""
        count = f"{done:,}/{total:,} {unit}" if total else f"{done:,} {unit}"
        rate = self._pace.rate(done, time.monotonic())
        self._progress.update(
            self._task,
            completed=done,
            total=total,
            count=_safe(count),
            rate=_safe(rate_text(rate, unit)) if rate else "",
            detail=_safe(detail),
        )

    def note(self, step: str, text: str) -> None:
        """See `Screen`: kept until the step's own line is there, to stand below it."""
        self._notes.append(text)

    def ended(self, step: str, outcome: str, remark: str) -> None:
        """See `Screen`."""
        self._progress.update(self._task, visible=False)
        self._print(f"{_SIGNS[outcome]} [bold]{step:<{_NAME_WIDTH}}[/] [dim]{_safe(remark)}[/]")
        for note in self._notes:
            self._print(f"  {'':<{_NAME_WIDTH}} {_safe(note)}")
        self._notes.clear()

    def summary(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """See `Screen`."""
        self._progress.stop()
        self._print(f"[italic]{_safe(title)}[/]")
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            # The terminal wraps what is long: a command that we broke could not be pasted.
            self._print(f" [bold]{_safe(name):<{width}}[/]  {_safe(value)}")

    def close(self) -> None:
        """See `Screen`."""
        self._progress.stop()

    def _print(self, markup: str) -> None:
        self._console.print(markup, soft_wrap=True)


def _safe(text: str) -> str:
    safe = escape(clean(text))
    return safe + " " if safe.endswith("\\") else safe  # it would escape what follows
