"""Files that a command writes to the path given by `-o`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kfp_finetune.components.errors import InputError


@contextlib.contextmanager
def writing(what: str, output: Path) -> Iterator[None]:
    """Check that a file can be written before the block, and explain errors in it.

    Args:
        what: The content of the file with its article, for messages.
        output: The file, in an existing folder.

    Raises:
        InputError: If it cannot be written, before or within the block.
    """
    try:
        if not output.parent.is_dir():
            raise FileNotFoundError(2, "its folder does not exist")
        if output.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if not os.access(output.parent, os.W_OK):
            raise PermissionError(13, "its folder is not writable")
        yield
    except OSError as error:
        raise InputError(
            f"{what} cannot be written: {error.strerror or error}",
            where=str(output),
            expected="a file in a writable folder",
            remedy="use another file: -o FILE",
        ) from None
