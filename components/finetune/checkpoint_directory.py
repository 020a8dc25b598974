"""Where checkpoints lie: a folder on this disk, on a mounted volume, or behind a URI.

CHECKPOINT_DIR/
    run.json              whose they are: the run, and everything that determines its result
    lock                  held while a process trains
    step-00000120/
        owner.json        the key of run.json; written first: only what has it is ever removed
        state.index  state.data-00000-of-00001
        checkpoint.json   sizes; written last: a folder without it is not a checkpoint
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kfp_finetune.components import uris
from kfp_finetune.components.artifacts.files import flush, write_text
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.checkpoint_lock import file_lock, object_lock
from kfp_finetune.components.load_data.readers import remote
from kfp_finetune.components.temporary import temporary_folder

MARKER = "checkpoint.json"
OWNER = "owner.json"
_PREFIX = "step-"
_NAME = re.compile(r"step-(\d{8,})")


class CheckpointDirectory:
    """A directory of checkpoints.

    Args:
        location: A path or a URI (s3://, gs://).
        say: Called with a sentence for a person.

    Attributes:
        key: Of the checkpoints that are this run's, which are used and removed. None: nobody has
            begun here yet.

    Raises:
        InputError: If it cannot be reached or written.
    """

    def __init__(self, location: str, say: Callable[[str], None]) -> None:
        self.key: str | None = None
        self.name = uris.without_secrets(location)
        self._say = say
        self._lost: Callable[[], bool] = lambda: False
        local = uris.local_path(location) if uris.is_uri(location) else Path(location)
        self._local = local.absolute() if local is not None else None
        with self._explained("made"):
            if self._local is not None:
                self._local.mkdir(parents=True, exist_ok=True)
                self._files, self._root = remote.filesystem("file"), str(self._local)
            else:
                scheme = location.partition("://")[0].lower()
                self._files = remote.filesystem(scheme)
                self._root = self._files._strip_protocol(uris.with_secrets(location)).rstrip("/")

    def read(self, name: str) -> Any:
        """What a JSON file holds; None if it is not there.

        Raises:
            ValueError: If it is damaged.
        """
        with self._explained("read"):
            try:
                return json.loads(self._files.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: Any) -> None:
        """Write a JSON file: it has its old content or all of the new."""
        text = json.dumps(content, indent=1)
        if self._local is not None:
            write_text(self._local / name, text)
        else:
            self._files.pipe_file(self._path(name), text.encode())

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._files.rm(self._path(name))

    def steps(self) -> list[int]:
        """The updates after which there is a whole checkpoint of this run (or any's), in order."""
        with self._explained("listed"):
            markers = self._files.glob(self._path(f"{_PREFIX}*", MARKER))
            found = [step for m in markers if (step := _step(Path(m).parent)) is not None]
            return sorted(s for s in found if self.key is None or self._is_ours(_name(s)))

    def save(self, step: int, write: Callable[[str], None]) -> None:
        """Add a checkpoint, whole or not at all.

        Args:
            step: Updates made.
            write: Writes the state to files whose names begin with the path it is given.

        Raises:
            OSError: Or what the store raises, if there is no room, or somebody else's folder has
                this name; earlier checkpoints are whole.
        """
        if self._lost():
            raise OSError("another process has taken the checkpoint directory over")
        name = _name(step)
        if self._local is not None:
            with contextlib.suppress(OSError):  # a save was cut off at once: nothing is in it
                (self._local / name).rmdir()
        if self._files.exists(self._path(name)) and not self._is_ours(name):
            raise FileExistsError(f"{name} is there, and is no checkpoint of this run")
        with contextlib.ExitStack() as stack:
            where = self._local or Path(stack.enter_context(temporary_folder()))
            folder = where / name
            try:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                self.write(f"{name}/{OWNER}", {"key": self.key})
                write(str(folder / "state"))
                files = [file for file in folder.iterdir() if file.name != OWNER]
                sizes = {file.name: file.stat().st_size for file in files}
                for file in files:
                    if self._local is not None:
                        flush(file)  # before the marker says that they are whole
                    else:
                        self._files.put_file(str(file), self._path(name, file.name))
                self.write(f"{name}/{MARKER}", {"step": step, "files": sizes})
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

    def prune(self, keep: int) -> None:
        """Remove all but the newest checkpoints."""
        for old in self.steps()[:-keep]:
            self._remove(old)

    @contextlib.contextmanager
    def opened(self, step: int) -> Iterator[str]:
        """A checkpoint's files on this disk, as the path that their names begin with.

        Raises:
            ValueError: If a file is not there or has another size than was written.
        """
        name = _name(step)
        expected = (self.read(f"{name}/{MARKER}") or {}).get("files", {})
        with contextlib.ExitStack() as stack:
            if self._local is not None:
                folder = self._local / name
            else:
                folder = Path(stack.enter_context(temporary_folder()))
                with self._explained("read"):
                    for file in expected:
                        with contextlib.suppress(FileNotFoundError):  # said below
                            self._files.get_file(self._path(name, file), str(folder / file))
            found = {f.name: f.stat().st_size for f in folder.iterdir() if f.name in expected}
            if found != expected:
                raise ValueError(f"its files are {found}, and were {expected}")
            yield str(folder / "state")

    def remove_after(self, step: int) -> None:
        """Remove this run's checkpoints of more updates, whole or not, and nothing else."""
        with self._explained("cleared"):
            for folder in self._files.glob(self._path(f"{_PREFIX}*")):
                if (_step(Path(folder)) or 0) > step and self._is_ours(Path(folder).name):
                    self._files.rm(folder, recursive=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for this process alone.

        Raises:
            InputError: If another process holds it.
        """
        with contextlib.ExitStack() as stack:
            with self._explained("locked"):
                if self._local is not None:
                    stack.enter_context(file_lock(self._local, self.name, self._say))
                else:
                    self._lost = stack.enter_context(object_lock(self, self._say))
            yield

    def _remove(self, step: int) -> None:
        name = _name(step)
        with contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path(name, MARKER))  # first: no longer a checkpoint
            self._files.rm(self._path(name), recursive=True)

    def _is_ours(self, name: str) -> bool:
        """Whether a folder carries this run's key."""
        try:
            found = json.loads(self._files.cat_file(self._path(name, OWNER)))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        return self.key is not None and isinstance(found, dict) and found.get("key") == self.key

    def _path(self, *names: str) -> str:
        return posixpath.join(self._root, *names)

    @contextlib.contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Turn what a disk or a store raises into one sentence."""
        try:
            yield
        except (InputError, ValueError):
            raise
        except Exception as error:  # every store and its libraries have exceptions of their own
            text = getattr(error, "strerror", None) or uris.without_secrets(str(error))
            reason = str(text).strip().splitlines()
            raise InputError(
                f"the checkpoint directory cannot be {done}:"
                f" {type(error).__name__}{': ' + reason[0][:200] if reason else ''}",
                where=self.name,
                expected="a folder or a bucket that can be read and written",
                remedy="check the place and the permissions, or give another --checkpoint-dir",
            ) from None


def _name(step: int) -> str:
    return f"{_PREFIX}{step:08}"


def _step(folder: Path) -> int | None:
    """The updates that a checkpoint's folder is named for; None for other people's folders."""
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found else None
