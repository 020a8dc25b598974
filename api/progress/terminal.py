"""The screen on a terminal: a live line for the running step and a tick for each finished one."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from kfp_finetune.progress.lines import Pace, clean, rate_text
from kfp_finetune.progress.wrapping import wrapped

_SIGNS = {
    "done": "[green]✓[/]",
    "cached": "[cyan]✓[/]",
    "failed": "[red]✗[/]",
    "interrupted": "[yellow]■[/]",
    "terminated": "[yellow]■[/]",
}
_NAME_WIDTH = 16
_WIDE = 110  # columns


class _TimeLeft(TimeRemainingColumn):
    """The remaining time with its label; empty while unknown."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn`."""
        known = task.total is not None and task.time_remaining is not None and not task.finished
        return Text(f"{super().render(task)} left" if known else "", style="progress.remaining")


class _Detail(TextColumn):
    """A column that is truncated to keep the line in one piece."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn`."""
        text = super().render(task)
        text.no_wrap, text.overflow = True, "ellipsis"
        return text


class TerminalScreen:
    """Rich's progress bar for the running step; finished steps scroll up."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._console = Console(highlight=False, stderr=stderr)
        self._pace = Pace()
        self._progress = Progress(
            SpinnerColumn(table_column=Column(no_wrap=True)),
            TextColumn(f"[bold]{{task.description:<{_NAME_WIDTH}}}[/]"),
            BarColumn(
                bar_width=24 if self._console.width >= _WIDE else 8,
                table_column=Column(no_wrap=True),
            ),
            TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
            _TimeLeft(compact=True, table_column=Column(no_wrap=True)),
            _Detail("[dim]{task.fields[detail]}[/]", table_column=Column()),
            console=self._console,
            transient=True,
            refresh_per_second=5,
        )
        self._task = self._progress.add_task("", visible=False, count="", rate="", detail="")
        self._notes: list[str] = []
        self._progress.start()

    def heading(self, text: str) -> None:
        """See `Screen`."""
        self._print("", text, style="bold")

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
        """See `Screen`; shown below the step's line when it has ended."""
        self._notes.append(text)

    def ended(self, step: str, outcome: str, remark: str) -> None:
        """See `Screen`."""
        self._progress.update(self._task, visible=False)
        name = f"[bold]{step:<{_NAME_WIDTH}}[/]"
        line = f"{_SIGNS[outcome]} {name} [dim]{_safe(remark)}[/]"
        self._console.print(line, soft_wrap=True)
        for note in self._notes:
            self._print(" " * (_NAME_WIDTH + 3), note)
        self._notes.clear()

    def summary(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """See `Screen`."""
        self._progress.stop()
        self._print("", title, style="italic")
        width = max(len(clean(name)) for name, _ in rows)
        for name, value in rows:
            self._print(f" {clean(name):<{width}}  ", value, head="bold")

    def close(self) -> None:
        """See `Screen`."""
        self._progress.stop()

    def _print(self, first: str, text: str, *, style: str = "", head: str = "") -> None:
        """Print a text, wrapped and indented to the end of its prefix."""
        lines = wrapped(clean(text), self._console.width, first)
        shown = Text(lines[0][: len(first)], head) + Text(lines[0][len(first) :], style)
        for line in lines[1:]:
            shown.append("\n" + line, style)
        self._console.print(shown, soft_wrap=True)


def _safe(text: str) -> str:
    safe = escape(clean(text))
    return safe + " " if safe.endswith("\\") else safe  # it would escape the next character
