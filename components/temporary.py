"""Temporary folders that do not outlive their process, however it ends.

A killed process removes nothing. So each folder is locked while its process lives, which the system
lets go of, and who makes one first removes those that nobody holds any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PREFIX = "kfp-finetune-"
_HELD = ".held"


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder for as long as the context, or this process, lasts.

    Raises:
        OSError: If it cannot be made.
    """
    folder, lock = make()
    try:
        yield str(folder)
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def make() -> tuple[Path, IO[str]]:
    """A folder, and the lock that holds it until it is closed or this process ends.

    Raises:
        OSError: If it cannot be made.
    """
    _remove_left()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = (folder / f"{_HELD}.new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / f"{_HELD}.new").rename(folder / _HELD)  # now that it is locked, others may look
    return folder, lock


def _remove_left() -> None:
    """Remove the folders of this user that no process holds."""
    for held in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_HELD}"):
        with contextlib.suppress(OSError):  # held, somebody else's, or being removed
            if held.is_symlink() or held.stat().st_uid != os.getuid():
                continue
            with held.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(held.parent, ignore_errors=True)
