"""The screen in a notebook: a table of the steps, updated while they run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from kfp_finetune.progress.lines import Pace, clean, duration, rate_text

_SECONDS_BETWEEN_UPDATES = 0.5
_SIGNS = {"done": "✓", "cached": "✓", "failed": "✗", "interrupted": "■", "terminated": "■"}


class NotebookScreen:
    """Shows headings, steps and the summary as HTML in the output of a cell."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._headings: list[str] = []
        self._rows: list[tuple[str, str, str]] = []
        self._now = ""
        self._summary = ""
        self._notes: list[str] = []
        self._pace = Pace()
        self._shown_at = 0.0
        self._handle = display(HTML(""), display_id=True)

    def heading(self, text: str) -> None:
        """See `Screen`."""
        self._headings.append(clean(text))
        self._show()

    def started(self, step: str) -> None:
        """See `Screen`."""
        self._pace = Pace()
        self._now = _row("…", step, "")
        self._show()

    def progress(self, step: str, done: int, total: int | None, unit: str, detail: str) -> None:
        """See `Screen`; updated at most twice per second."""
        now = time.monotonic()
        rate = self._pace.rate(done, now)
        if now - self._shown_at < _SECONDS_BETWEEN_UPDATES:
            return
        parts = [f"{done:,}/{total:,} {unit}" if total else f"{done:,} {unit}"]
        if rate:
            parts.append(rate_text(rate, unit))
        if total and rate:
            parts.append(f"{duration((total - done) / rate)} left")
        bar = f'<progress value="{done}" max="{total}"></progress> ' if total else ""
        text = bar + escape(", ".join(clean(p) for p in (*parts, detail) if p))
        self._now = _row("…", step, text)
        self._show()

    def note(self, step: str, text: str) -> None:
        """See `Screen`; shown below the step when it has ended."""
        self._notes.append(clean(text))

    def ended(self, step: str, outcome: str, remark: str) -> None:
        """See `Screen`."""
        self._rows.append((_SIGNS[outcome], step, clean(remark)))
        self._rows += [("", "", note) for note in self._notes]
        self._notes.clear()
        self._now = ""
        self._show()

    def summary(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """See `Screen`."""
        table = "".join(_row("", name, escape(clean(value))) for name, value in rows)
        self._summary = f"<div>{escape(clean(title))}</div><table>{table}</table>"
        self._show()

    def close(self) -> None:
        """See `Screen`."""
        self._now = ""
        self._show()

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        if self._handle is not None:
            self._handle.update(self._html(self._page()))

    def _page(self) -> str:
        head = "".join(f"<div>{escape(text)}</div>" for text in self._headings)
        rows = "".join(_row(sign, name, escape(text)) for sign, name, text in self._rows)
        return f"{head}<table>{rows}{self._now}</table>{self._summary}"


def _row(sign: str, name: str, html: str) -> str:
    """A row of the table; the last cell is already HTML."""
    cell = '<td style="text-align:left;padding:1px 8px">'
    return f"<tr>{cell}{sign}</td>{cell}<b>{escape(clean(name))}</b></td>{cell}{html}</td></tr>"
