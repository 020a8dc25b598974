"""What is left of an error that nobody foresaw: its traceback, in a file that is named."""

from __future__ import annotations

import tempfile
import traceback

from kfp_finetune.components.storage.uris import without_secrets


class LoggedError(Exception):
    """An error whose message says where the log is."""


def logged(error: Exception) -> LoggedError:
    """Write an error's traceback to a file of its own, in the system's temporary folder.

    Raises:
        OSError: If it cannot be written.
    """
    with tempfile.NamedTemporaryFile(
        "w", prefix="kfp-finetune-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(without_secrets("".join(traceback.format_exception(error))))
    return LoggedError(f"{str(error) or type(error).__name__}\nlog: {log.name}")
