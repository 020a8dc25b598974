"""Copy files, sharing content only if changing one copy does not change the other."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

_FICLONE = 0x40049409  # linux/fs.h; a clone (XFS, Btrfs) takes no space until changed


def copy(source: Path, target: Path) -> None:
    """Copy a file with its times, as a clone if the file system supports it.

    A symbolic link is copied as the file that it points to.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        with source.open("rb") as content, target.open("xb") as clone:
            fcntl.ioctl(clone.fileno(), _FICLONE, content.fileno())
        shutil.copystat(source, target)
    except OSError:  # another file system, or one without clones
        target.unlink(missing_ok=True)
        shutil.copy2(source, target)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file within a run, or copy it with the same times."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        if source.is_symlink():
            raise OSError("not linked")
        os.link(source, target)
    except OSError:  # another file system, one without hard links, or too many of them
        shutil.copy2(source, target)
