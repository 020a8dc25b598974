"""Sharing files between folders: hard links where the file system has them, copies elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy with the same times.

    A symbolic link is copied as the file it points to: what is shared must not end elsewhere.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        if source.is_symlink():
            raise OSError("not linked")
        os.link(source, target)
    except OSError:  # another file system, one without hard links, or too many of them
        shutil.copy2(source, target)
