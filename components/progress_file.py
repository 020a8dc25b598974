"""Progress for Argo: `done/total` in the file named by $ARGO_PROGRESS_FILE."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_SECONDS_BETWEEN_WRITES = 10.0


class ProgressFile:
    """Writes the file, if the variable is set, at most every ten seconds and at the end.

    Args:
        total: The final count; at least 1.
    """

    def __init__(self, total: int) -> None:
        name = os.environ.get("ARGO_PROGRESS_FILE")
        self._path = Path(name) if name else None
        self._total = total
        self._written = -_SECONDS_BETWEEN_WRITES

    def update(self, done: int) -> None:
        """Write the progress if it is due. Failing to write the file is not an error."""
        now = time.monotonic()
        due = now - self._written >= _SECONDS_BETWEEN_WRITES or done >= self._total
        if self._path is not None and due:
            self._written = now
            with contextlib.suppress(OSError):
                self._path.write_text(f"{done}/{self._total}\n")
