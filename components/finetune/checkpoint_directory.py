"""The directory of checkpoints: a folder on this disk, on a mounted volume, or in a bucket.

CHECKPOINT_DIR/
    run.json              the run, and everything that determines its result
    lock                  held while a process trains
    step-00000120/
        owner.json        the key of run.json; written first: only folders with it are ever removed
        state.index  state.data-00000-of-00001
        checkpoint.json   sizes; written last: a folder without it is not a checkpoint
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.folder import Folder
from kfp_finetune.components.storage.locks import HeldError, locked
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.components.temporary import temporary_folder

MARKER = "checkpoint.json"
OWNER = "owner.json"
_PREFIX = "step-"
_NAME = re.compile(r"step-(\d{8,})")


class CheckpointDirectory:
    """A directory of checkpoints.

    Args:
        location: A path or a URI (s3://, gs://).
        say: Called with a sentence for the user.

    Attributes:
        key: The key of this run's checkpoints, the only ones that are used and removed. None if no
            run has started here yet.

    Raises:
        InputError: If it cannot be reached or written.
    """

    def __init__(self, location: str, say: Callable[[str], None]) -> None:
        self.key: str | None = None
        self.name = without_secrets(location)
        self._say = say
        self._is_lost: Callable[[], bool] = lambda: False
        self._folder = Folder(location, self._explain)
        self._folder.make()

    def read(self, name: str) -> Any:
        """The content of a JSON file; None if it does not exist.

        Raises:
            ValueError: If it is damaged.
        """
        try:
            return json.loads(self._folder.read(name))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: Any) -> None:
        """Replace a JSON file atomically."""
        self._folder.write(name, json.dumps(content, indent=1))

    def steps(self) -> list[int]:
        """The steps of all complete checkpoints of this run (or any run), in order."""
        found = [
            step
            for name in self._folder.folders()
            if (step := _step(name)) is not None and self._folder.exists(f"{name}/{MARKER}")
        ]
        return sorted(s for s in found if self.key is None or self._is_ours(_name(s)))

    def save(self, step: int, write: Callable[[str], None]) -> None:
        """Add a checkpoint atomically.

        Args:
            step: Number of steps made.
            write: Writes the state to files whose names start with the path that it is given.

        Raises:
            OSError: If another process holds the directory now, or a folder of another run has this
                name.
            InputError: If there is no room; earlier checkpoints are not affected.
        """
        if self._is_lost():
            raise OSError("another process has taken the checkpoint directory over")
        name = _name(step)
        local = self._folder.local
        if local is not None:
            with contextlib.suppress(OSError):  # an interrupted save left an empty folder
                (local / name).rmdir()
        if self._folder.exists(name) and not self._is_ours(name):
            raise FileExistsError(f"{name} exists and is not a checkpoint of this run")
        with contextlib.ExitStack() as stack:
            folder = (local or Path(stack.enter_context(temporary_folder()))) / name
            try:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                self.write(f"{name}/{OWNER}", {"key": self.key})
                write(str(folder / "state"))
                files = [file for file in folder.iterdir() if file.name != OWNER]
                sizes = {file.name: file.stat().st_size for file in files}
                for file in files:
                    self._folder.put(file, f"{name}/{file.name}")
                # Last: a folder with it is complete.
                self.write(f"{name}/{MARKER}", {"step": step, "files": sizes})
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

    def prune(self, keep: int) -> None:
        """Remove all but the newest checkpoints."""
        for old in self.steps()[:-keep]:
            self._folder.remove(f"{_name(old)}/{MARKER}")  # first: no longer a checkpoint
            self._folder.remove(_name(old))

    @contextlib.contextmanager
    def opened(self, step: int) -> Iterator[str]:
        """The files of a checkpoint on this disk, as the path that their names start with.

        Raises:
            ValueError: If a file is missing, or does not have the size that was written.
        """
        name = _name(step)
        expected = (self.read(f"{name}/{MARKER}") or {}).get("files", {})
        with contextlib.ExitStack() as stack:
            if self._folder.local is not None:
                folder = self._folder.local / name
            else:
                folder = Path(stack.enter_context(temporary_folder()))
                for file in self._folder.files(name):
                    if file.name in expected:
                        self._folder.get(file, folder / file.name)
            found = {f.name: f.stat().st_size for f in folder.iterdir() if f.name in expected}
            if found != expected:
                raise ValueError(f"its files are {found}, not {expected}")
            yield str(folder / "state")

    def remove_after(self, step: int) -> None:
        """Remove this run's checkpoints of later steps, complete or not, and nothing else."""
        for name in self._folder.folders():
            if (_step(name) or 0) > step and self._is_ours(name):
                self._folder.remove(name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for this process alone.

        Raises:
            InputError: If another process holds it.
        """
        with contextlib.ExitStack() as stack:
            try:
                self._is_lost = stack.enter_context(locked(self._folder, self._say))
            except HeldError as error:
                raise InputError(
                    f"{error.holder} is training with these checkpoints",
                    where=self.name,
                    expected="one run at a time per checkpoint directory",
                    remedy="wait until that run ends, stop it, or use another --checkpoint-dir",
                ) from None
            yield

    def _is_ours(self, name: str) -> bool:
        """Return True if a folder has this run's key."""
        try:
            found = json.loads(self._folder.read(f"{name}/{OWNER}"))
        except (FileNotFoundError, ValueError):
            return False
        return self.key is not None and isinstance(found, dict) and found.get("key") == self.key

    def _explain(self, error: Exception) -> InputError:
        text = getattr(error, "strerror", None) or without_secrets(str(error))
        reason = str(text).strip().splitlines()
        return InputError(
            f"the checkpoint directory cannot be used:"
            f" {type(error).__name__}{': ' + reason[0][:200] if reason else ''}",
            where=self.name,
            expected="a folder or a bucket that can be read and written",
            remedy="check the path and the permissions, or use another --checkpoint-dir",
        )


def _name(step: int) -> str:
    return f"{_PREFIX}{step:08}"


def _step(name: str) -> int | None:
    """The step that a checkpoint's folder is named for; None for other folders."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None
