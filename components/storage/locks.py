"""Lock a folder for one process.

On a disk it is a lock of the operating system, which ends with the process that holds it. In an
object store it is an object that its holder renews; all writes to it are conditional, so the store
decides which of two processes gets it. A lock that was not renewed for a minute is taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.folder import Folder

LOCK = "lock"
_OURS = re.compile(r"(process \d+ on \S+)?")
_LONGEST = 1000
# A process that is ending may hold the lock for a moment, and on a network file system even one
# that has ended.
SECONDS_TO_WAIT = 45.0
SECONDS_BETWEEN_RENEWALS = 15.0
SECONDS_UNTIL_STALE = 60.0


class HeldError(Exception):
    """Another process holds the lock.

    Args:
        holder: The other process, in words.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextlib.contextmanager
def locked(folder: Folder, say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Lock a folder.

    Args:
        folder: The folder; on a disk it must exist.
        say: Called with a sentence for the user while another process holds the lock.

    Yields:
        A function that returns True if the lock was lost: another process took it over because
        this one had not renewed it.

    Raises:
        HeldError: If another process holds it.
        InputError: If the folder has a file named `lock` that is not a lock.
    """
    if folder.local is not None:
        with _file_lock(folder.local, folder.name, say):
            yield lambda: False
    else:
        lease = _Lease(folder)
        lease.acquire(say)
        try:
            yield lease.is_lost
        finally:
            lease.release()


@contextlib.contextmanager
def _file_lock(folder: Path, name: str, say: Callable[[str], None]) -> Iterator[None]:
    import fcntl

    with (folder / LOCK).open("a+") as file:
        began = time.monotonic()
        is_waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "another process"
                if time.monotonic() - began > SECONDS_TO_WAIT:
                    raise HeldError(holder) from None
                if not is_waiting and time.monotonic() - began > 1:
                    is_waiting = True
                    say(f"waiting for {holder}, which holds {name}")
                time.sleep(0.2)
        file.seek(0)
        if not _OURS.fullmatch(file.read(_LONGEST)):
            raise _not_ours(name)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


class _Lease:
    """The lock of one process on a folder in an object store."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._id = uuid.uuid4().hex
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def acquire(self, say: Callable[[str], None]) -> None:
        """Create the lock, or take over one that its holder no longer renews."""
        # Some stores ignore conditions: look first; if two write at once, the second one wins. A
        # write that was retried can find its own lock.
        is_held = self._folder.version(LOCK) is not None
        if is_held or not (self._write(None) or self._is_ours()):
            self._take_over(say)
        if self._holder():
            raise HeldError("another process")
        self._thread.start()

    def is_lost(self) -> bool:
        """Return True if another process has taken it over."""
        return bool(self._holder())

    def release(self) -> None:
        """Stop renewing it, and remove it."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(Exception):  # it becomes stale
            if not self._holder():
                self._folder.remove(LOCK)

    def _take_over(self, say: Callable[[str], None]) -> None:
        """Wait until the lock has not been renewed for a while, by this machine's clock alone."""
        before = self._folder.version(LOCK)
        if before is not None:
            say(f"waiting for {self._parsed(before[0])['holder']}, which held {self._folder.name}")
        began = time.monotonic()
        now = before
        while now and before and time.monotonic() - began < SECONDS_UNTIL_STALE:
            time.sleep(1)
            now = self._folder.version(LOCK)
            if now and now[1] != before[1]:
                raise HeldError(self._parsed(now[0])["holder"])
        if not self._write(now[1] if now else None):
            raise HeldError("another process")

    def _renew(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_RENEWALS):
            with contextlib.suppress(Exception):  # retried next time; otherwise it becomes stale
                found = self._folder.version(LOCK)
                if not found or not self._is_own(found[0]) or not self._write(found[1]):
                    return

    def _write(self, tag: str | None) -> bool:
        lock = {
            "id": self._id,
            "holder": f"a process on {socket.gethostname()}",
            "renewed_at": time.time(),
        }
        return self._folder.write_if(LOCK, json.dumps(lock, indent=1).encode(), tag)

    def _is_ours(self) -> bool:
        found = self._folder.version(LOCK)
        return found is not None and self._is_own(found[0])

    def _holder(self) -> str:
        """The process that holds the lock instead of this one; "" if none does."""
        found = self._folder.version(LOCK)
        return "" if not found or self._is_own(found[0]) else self._parsed(found[0])["holder"]

    def _is_own(self, content: bytes) -> bool:
        return self._parsed(content)["id"] == self._id

    def _parsed(self, content: bytes) -> dict[str, str]:
        try:
            lock = json.loads(content)
            return {"id": str(lock["id"]), "holder": str(lock["holder"])}
        except (ValueError, KeyError, TypeError):
            raise _not_ours(self._folder.name) from None


def _not_ours(name: str) -> InputError:
    return InputError(
        f"the file {LOCK} was not written by kfp-finetune",
        where=name,
        expected="a folder that only kfp-finetune writes to",
        remedy="use another folder",
    )
