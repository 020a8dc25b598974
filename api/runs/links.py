"""Copies of files, which share their content only where changing one does not change the other."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

_FICLONE = 0x40049409  # linux/fs.h: of XFS, Btrfs and others; costs no space until one is changed


def copy(source: Path, target: Path) -> None:
    """Copy a file with its times; at once where the file system copies on write.

    A symbolic link is copied as the file it points to.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        with source.open("rb") as content, target.open("xb") as clone:
            fcntl.ioctl(clone.fileno(), _FICLONE, content.fileno())
        shutil.copystat(source, target)
    except OSError:  # another file system, or one that cannot
        target.unlink(missing_ok=True)
        shutil.copy2(source, target)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, within one run, or a copy with the same times."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        if source.is_symlink():
            raise OSError("not linked")
        os.link(source, target)
    except OSError:  # another file system, one without hard links, or too many of them
        shutil.copy2(source, target)
