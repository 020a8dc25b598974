"""Read files of a model's folder: only files inside it, and only up to a size limit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError

# Far more than any model has; a larger or deeper file was made to exhaust memory or the stack.
_MOST_BYTES = 64 << 20
_DEEPEST = 32


def read_bytes(path: Path) -> bytes:
    """Read a file of a model's folder.

    Raises:
        InputError: If it is larger than 64 MB.
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InputError(
            f"{path.name} is larger than 64 MB",
            where=str(path),
            expected="the file that `save_pretrained` wrote",
            remedy="download or copy it again",
        )
    return content


def find(folder: Path, name: str) -> Path | None:
    """Find a regular file in a model's folder.

    Links are followed only inside the folder and, in the Hub's cache, to the repository's blobs.

    Args:
        folder: A model's folder.
        name: The file's name, without folders.

    Returns:
        The path; None if there is no such file.

    Raises:
        InputError: If the file is a link out of the folder, a pipe or a device.
    """
    path = folder / name
    try:
        if Path(name).name != name or not (path.is_symlink() or path.exists()):
            return None
    except OSError as error:  # a name of 300 characters, or a folder that may not be read
        raise InputError(
            f"{name:.60} cannot be looked up: {error.strerror}",
            where=str(folder),
            expected="a file that can be read",
            remedy="check the folder's permissions, or download or copy the model again",
        ) from None
    base = folder.resolve()
    allowed = [base]
    if base.parent.name == "snapshots":  # the Hub's cache links models--X/snapshots/Y to blobs
        allowed.append(base.parent.parent / "blobs")
    real = path.resolve()
    if not any(real.is_relative_to(place) for place in allowed):
        raise InputError(
            f"{name} is a link to a file outside the model's folder",
            where=str(path),
            expected="a file in the folder itself",
            remedy=f"copy the folder and the files that it links to: cp -rL {folder} COPY",
        )
    if real.is_dir() or not real.exists():
        return None
    if not real.is_file():
        raise InputError(
            f"{name} is not a regular file",
            where=str(path),
            expected="a file that can be read more than once",
            remedy="download or copy the model again",
        )
    return path


def read_json(folder: Path, name: str) -> dict[str, Any] | None:
    """Read a JSON object from a file of a model's folder; None if there is no such file.

    Raises:
        InputError: If it is not a JSON object, larger than 64 MB or nested deeper than 32 levels.
    """
    path = find(folder, name)
    if path is None:
        return None
    try:
        content = json.loads(read_bytes(path).decode("utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
        _check_depth(content)
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(
            f"{name} is not a JSON object: {first_line(reason)}",
            where=str(path),
            expected="the file that `save_pretrained` wrote",
            remedy="download or copy it again",
        ) from None
    return content


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(_DEEPEST):
        level = [
            below
            for value in level
            for below in (value.values() if isinstance(value, dict) else value)
            if isinstance(below, dict | list)
        ]
        if not level:
            return
    raise RecursionError


def first_line(error: object) -> str:
    """The first line of a library's error, truncated for a message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def few(names: Sequence[str]) -> str:
    """The first four names and the number of the others, for a message."""
    rest = len(names) - 4
    return ", ".join(names[:4]) + (f" and {rest} more" if rest > 0 else "")
