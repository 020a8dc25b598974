"""Temporary folders that do not outlive their process for long, even if it is killed.

A killed process removes nothing. So each folder is locked while its process lives; the operating
system releases the lock, and the next call removes all folders that are no longer locked.
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
    """A temporary folder that is removed at the end of the context.

    Raises:
        OSError: If it cannot be created.
    """
    folder, lock = make()
    try:
        yield str(folder)
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def make() -> tuple[Path, IO[str]]:
    """Create a temporary folder.

    Returns:
        The folder, and its lock, which lasts until it is closed or this process ends.

    Raises:
        OSError: If the folder cannot be created.
    """
    _remove_left()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = (folder / f"{_HELD}.new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / f"{_HELD}.new").rename(folder / _HELD)  # others look only for this name
    return folder, lock


def _remove_left() -> None:
    """Remove this user's folders that no process has locked."""
    for held in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_HELD}"):
        with contextlib.suppress(OSError):  # locked, another user's, or being removed
            if held.is_symlink() or held.stat().st_uid != os.getuid():
                continue
            with held.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(held.parent, ignore_errors=True)
