"""Handling of signals, and the process group of the steps."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

# The time that steps have to end: finetune finishes its step and saves a checkpoint.
GRACE_SECONDS = 30.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal interrupted the command; this is not an error.

    Args:
        signum: The signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.exit_code = 128 + signum


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on the first SIGINT, SIGTERM or SIGHUP; later ones are ignored.

    If SIGHUP is already ignored, as under nohup, it stays so. Only the main thread can be
    interrupted; other threads change nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(signum)

    before = {
        signum: signal.signal(signum, interrupt)
        for signum in _SIGNALS
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


class ProcessGroup:
    """A process in a new session, with all of its child processes.

    Args:
        command: The command to run.
        environment: Its environment variables.
        inherited: File descriptors that it inherits.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int]
    ) -> None:
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=inherited,
        )

    def lines(self) -> Iterator[str]:
        """The lines that it prints, until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        for line in self._process.stdout:
            yield line.decode("utf-8", errors="replace")

    def wait(self) -> int:
        """Wait for the process, end any remaining children, and return its exit code."""
        code = self._process.wait()
        self._signal(signal.SIGKILL)
        return code

    def end(self) -> Iterator[str]:
        """Send SIGTERM to all processes, kill those that do not end in time, and wait.

        Yields:
            The lines printed in the meantime; must be read to the end.
        """
        self._signal(signal.SIGTERM)
        timer = threading.Timer(GRACE_SECONDS, self._signal, [signal.SIGKILL])
        timer.start()
        try:
            yield from self.lines()
            self._process.wait()
        finally:
            timer.cancel()
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signum)
