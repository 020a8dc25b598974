"""Unexpected errors: the traceback is written to a file, and the message names the file."""

from __future__ import annotations

import tempfile
import traceback

from kfp_finetune.components.storage.uris import without_secrets


class LoggedError(Exception):
    """An unexpected error; its message has the path of the log."""


def logged(error: Exception) -> LoggedError:
    """Write an error's traceback to a new file in the system's temporary folder.

    Raises:
        OSError: If it cannot be written.
    """
    with tempfile.NamedTemporaryFile(
        "w", prefix="kfp-finetune-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(without_secrets("".join(traceback.format_exception(error))))
    return LoggedError(f"{str(error) or type(error).__name__}\nlog: {log.name}")
