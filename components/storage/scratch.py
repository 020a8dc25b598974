"""A folder for copies of files, which is removed when the process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

from kfp_finetune.components.temporary import make

_locks: list[IO[str]] = []  # kept open, and thus locked, until the process ends


@cache
def scratch() -> Path:
    """The folder; if the process is killed, the next process removes it."""
    folder, lock = make()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _locks.append(lock)
    return folder


def new_folder() -> Path:
    """A new, empty folder in that folder."""
    return Path(tempfile.mkdtemp(dir=scratch()))
