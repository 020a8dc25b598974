"""A folder for copies of files, which is removed when the process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

from kfp_finetune.components.temporary import make

_locks: list[IO[str]] = []  # open, and so held, until the process ends


@cache
def scratch() -> Path:
    """The folder; a killed process leaves it to the next one to remove."""
    folder, lock = make()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _locks.append(lock)
    return folder


def new_folder() -> Path:
    """A new, empty folder in it."""
    return Path(tempfile.mkdtemp(dir=scratch()))
