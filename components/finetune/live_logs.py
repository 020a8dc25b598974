"""Keeps TensorBoard's event files in a durable place during training.

KFP uploads a step's outputs when it has succeeded, so until then, and after a failure, nobody
could look at the curves.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.storage.folder import Folder
from kfp_finetune.components.storage.uris import without_secrets

SECONDS_BETWEEN_SYNCS = 15.0
_PROBE = ".writable"


@contextlib.contextmanager
def synced(logs: str, directory: str | None, owner: str) -> Iterator[None]:
    """Within, copy a folder's event files again and again as they grow; once more at the end.

    Args:
        logs: The folder that the event files are written to.
        directory: A path or a URI (s3://, gs://), which gets a folder named for the run; None:
            nothing is copied.
        owner: Which run this is, as `runtime.run_of` says.

    Raises:
        InputError: If the directory cannot be written. A copy that fails later is only told.
    """
    if directory is None:
        yield
        return
    copies = _Copies(Path(logs), directory, run_name(owner))
    stop = threading.Event()
    thread = threading.Thread(target=copies.keep, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        copies.sync()


def run_name(owner: str) -> str:
    """The run in .../RUN/steps/finetune, as it is here, or .../RUN_ID/finetune, on a cluster."""
    parts = owner.rstrip("/").split("/")
    if len(parts) > 2 and parts[-2] == "steps":
        return parts[-3]
    return parts[-2] if len(parts) > 1 else "run"


class _Copies:
    """The copies of one run's event files."""

    def __init__(self, logs: Path, directory: str, run: str) -> None:
        self._logs = logs
        self._run = run
        self._sizes: dict[str, int] = {}
        self._has_failed = False
        try:
            self._folder = Folder(directory)
            self._folder.make()
            self._folder.write(f"{run}/{_PROBE}", "-")
            self._folder.remove(f"{run}/{_PROBE}")
        except (InputError, OSError) as error:
            reason = error.found if isinstance(error, InputError) else type(error).__name__
            raise InputError(
                f"the event files cannot be kept there: {reason}",
                where=f"tensorboard_dir: {without_secrets(directory)}",
                expected="a folder or a bucket that can be written",
                remedy="check the place and the permissions, or omit --tensorboard-dir",
            ) from None

    def keep(self, stop: threading.Event) -> None:
        """Copy until told to stop."""
        while not stop.wait(SECONDS_BETWEEN_SYNCS):
            self.sync()

    def sync(self) -> None:
        """Copy what has grown."""
        for file in sorted(self._logs.glob("events.out.tfevents.*")):
            try:
                size = file.stat().st_size
                if self._sizes.get(file.name) != size:
                    self._folder.put(file, f"{self._run}/{file.name}")
                    self._sizes[file.name] = size
            except Exception as error:  # no reason to end a training
                if not self._has_failed:
                    emit("note", "finetune", text=f"no live curves: {type(error).__name__}")
                self._has_failed = True
