"""Copy TensorBoard's event files to durable storage during training.

KFP uploads a step's outputs only after it has succeeded; without these copies nobody could see the
curves before, or after a failure.
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
    """Copy a folder's event files while they grow in the `with` block, and once more at its end.

    Args:
        logs: The folder that the event files are written to.
        directory: A path or a URI (s3://, gs://), which gets a folder named after the run; None to
            copy nothing.
        owner: The run, as `runtime.run_of` names it.

    Raises:
        InputError: If the directory cannot be written. Later failures are only reported.
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
    """The name of the run, from .../RUN/steps/finetune (local) or .../RUN_ID/finetune (cluster)."""
    parts = owner.rstrip("/").split("/")
    if len(parts) > 2 and parts[-2] == "steps":
        return parts[-3]
    return parts[-2] if len(parts) > 1 else "run"


class _Copies:
    """Copies one run's event files."""

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
                f"the event files cannot be written there: {reason}",
                where=f"tensorboard_dir: {without_secrets(directory)}",
                expected="a folder or a bucket that can be written",
                remedy="check the path and the permissions, or omit --tensorboard-dir",
            ) from None

    def keep(self, stop: threading.Event) -> None:
        """Copy until stopped."""
        while not stop.wait(SECONDS_BETWEEN_SYNCS):
            self.sync()

    def sync(self) -> None:
        """Copy the files that have grown."""
        for file in sorted(self._logs.glob("events.out.tfevents.*")):
            try:
                size = file.stat().st_size
                if self._sizes.get(file.name) != size:
                    self._folder.put(file, f"{self._run}/{file.name}")
                    self._sizes[file.name] = size
            except Exception as error:  # no reason to end training
                if not self._has_failed:
                    emit("note", "finetune", text=f"no live curves: {type(error).__name__}")
                self._has_failed = True
