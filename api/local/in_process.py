"""Run a step's work in the command's own process, showing its progress but not its output."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from kfp_finetune.components.runtime import parse_line
from kfp_finetune.progress.lines import Screen


@contextlib.contextmanager
def followed(step: str) -> Iterator[None]:
    """Suppress a step's output, and show its progress on a terminal.

    Args:
        step: The name of the step.
    """
    screen = None
    if sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from kfp_finetune.progress.terminal import TerminalScreen

        screen = TerminalScreen(stderr=True)
        screen.started(step)
    try:
        with contextlib.redirect_stdout(_Events(screen)):
            yield
    finally:
        if screen is not None:
            screen.close()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Suppress the messages that TensorFlow prints when loaded.

    Its C++ code writes directly to the file descriptor, before it reads any setting.
    """
    sys.stderr.flush()
    stderr, descriptor = sys.stderr, os.dup(2)
    with (
        open(os.devnull, "wb") as nowhere,  # noqa: PTH123 - a device
        open(descriptor, "w", buffering=1, errors="replace") as screen,  # noqa: PTH123
    ):
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = screen
        try:
            yield
        finally:
            os.dup2(descriptor, 2)
            sys.stderr = stderr


class _Events:
    """A standard output that shows only the progress events written to it."""

    encoding = "utf-8"

    def __init__(self, screen: Screen | None) -> None:
        self._screen = screen
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")  # print() writes a line in pieces
        for line in lines:
            self._show(line)
        return len(text)

    def _show(self, line: str) -> None:
        parsed = parse_line(line) if self._screen else None
        if self._screen and parsed and parsed[1].get("event") == "progress":
            fields = parsed[1]
            self._screen.progress(
                fields["step"], fields["done"], fields["total"], fields["unit"], fields["detail"]
            )

    def flush(self) -> None:
        """Nothing is buffered."""

    def isatty(self) -> bool:
        """This is not a terminal."""
        return False
