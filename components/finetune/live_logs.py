"""Keeps TensorBoard's event files in a durable place during training.

KFP uploads a step's outputs when it has succeeded, so until then, and after a failure, nobody
could look at the curves.
"""

from __future__ import annotations

import contextlib
import posixpath
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_finetune.components import uris
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import remote
from kfp_finetune.components.runtime import emit

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
        self._sizes: dict[str, int] = {}
        self._told = False
        name = uris.without_secrets(directory)
        local = uris.local_path(directory) if uris.is_uri(directory) else Path(directory)
        try:
            if local is not None:
                self._files: Any = None
                self._root = str(local.absolute() / run)
                Path(self._root).mkdir(parents=True, exist_ok=True)
                (Path(self._root) / _PROBE).touch()
                (Path(self._root) / _PROBE).unlink()
            else:
                scheme = directory.partition("://")[0].lower()
                if scheme not in ("s3", "gs"):
                    raise ValueError(scheme)
                self._files = remote.filesystem(scheme)
                root = self._files._strip_protocol(uris.with_secrets(directory))
                self._root = posixpath.join(root, run)
                self._files.pipe_file(posixpath.join(self._root, _PROBE), b"-")
                self._files.rm(posixpath.join(self._root, _PROBE))
        except Exception as error:  # every store and its libraries have exceptions of their own
            raise InputError(
                f"the event files cannot be kept there: {type(error).__name__}",
                where=f"tensorboard_dir: {name}",
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
                    self._copy(file)
                    self._sizes[file.name] = size
            except Exception as error:  # no reason to end a training
                if not self._told:
                    emit("note", "finetune", text=f"no live curves: {type(error).__name__}")
                self._told = True

    def _copy(self, file: Path) -> None:
        if self._files is not None:
            self._files.put_file(str(file), posixpath.join(self._root, file.name))
        else:
            shutil.copyfile(file, Path(self._root) / file.name)
