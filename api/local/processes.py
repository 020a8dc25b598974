"""Signals to the CLI, and the process group in which the steps run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

# How long steps that are told to end may take to do so: finetune ends its update, and saves.
GRACE_SECONDS = 30.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody wants the command to end; not an error.

    Args:
        signum: The signal that said so.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.exit_code = 128 + signum


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on the first SIGINT, SIGTERM or SIGHUP; later ones are passed over.

    A SIGHUP that is ignored stays so: that is how nohup works. Only the main thread can be
    interrupted; in another one nothing is changed.
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
    """A process in a session of its own, with everything it starts.

    Args:
        command: What to run.
        environment: Its environment variables.
        inherited: File descriptors that it gets.
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
        """What it prints, line by line, until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        for line in self._process.stdout:
            yield line.decode("utf-8", errors="replace")

    def wait(self) -> int:
        """Wait for the process; its steps never outlive it. Returns its exit code."""
        code = self._process.wait()
        self._signal(signal.SIGKILL)
        return code

    def end(self) -> Iterator[str]:
        """Tell all of them to end, kill what has not after a while, and wait.

        Yields:
            The lines still printed meanwhile; must be read to the end.
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
