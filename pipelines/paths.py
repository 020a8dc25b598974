"""Distinguish paths from Hub ids, and resolve relative paths."""

from __future__ import annotations

import os
from pathlib import Path

from kfp_finetune.components.load_data.readers.formats import is_named_like_data
from kfp_finetune.components.storage.uris import local_path

# The parameters whose value may be a path.
PATH_PARAMETERS = (
    "dataset",
    "validation_dataset",
    "test_dataset",
    "label_names",
    "model",
    "checkpoint_dir",
    "tensorboard_dir",
)
_ALWAYS_PATHS = ("label_names", "checkpoint_dir", "tensorboard_dir")


def on_this_disk(value: str) -> str | None:
    """The local path that a value names; None for a URI, a Hub id or no value.

    Args:
        value: The value of one of `PATH_PARAMETERS`, with an absolute path.
    """
    if value.lower().startswith("file://"):
        return str(local_path(value))
    return value if os.path.isabs(value) else None  # noqa: PTH117


def is_url(value: str) -> bool:
    """Return True for a remote location: s3://, https://, hf:// ..."""
    return "://" in value


def looks_like_path(value: str) -> bool:
    """Return True if the value can only be a path, even if it does not exist.

    A Hub id is "name" or "owner/name": it has no leading dot or slash, at most one slash, and is
    not named like a data file.
    """
    if value.startswith(("/", "./", "../", "~")) or value in (".", "..") or "\\" in value:
        return True
    if value.rstrip("/").count("/") > 1:
        return True
    return is_named_like_data(value) or any(sign in value for sign in "*?[")


def exists(path: Path) -> bool:
    """Return True if a path exists; False for a name that cannot be a path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def absolute(parameter: str, value: str, base: Path) -> str:
    """Make a relative path absolute.

    Args:
        parameter: One of `PATH_PARAMETERS`.
        value: A path, a URL or a Hub id.
        base: The folder for relative paths.

    Returns:
        The absolute path if it exists or the value can only be a path; otherwise the value, which
        is a Hub id or a URL.
    """
    if not value or is_url(value):
        return value
    path = base / Path(value).expanduser()
    if parameter in _ALWAYS_PATHS or looks_like_path(value) or exists(path):
        return os.path.abspath(path)  # noqa: PTH100 - not resolve(): a link's own name says more
    return value
