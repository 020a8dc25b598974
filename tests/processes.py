"""Processes that tests start: whether they have ended, and what they print on a terminal."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable


def alive(pid: int) -> bool:
    """Return False for a process that has ended, even if its parent has not read its exit code."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Wait until a condition holds; return False if it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def read_terminal(parent: int) -> str:
    """Read a pseudo terminal until every process has closed it, and close it."""
    found = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # how a pseudo terminal ends on Linux
            break
        if not part:
            break
        found += part
    os.close(parent)
    return found.decode()
