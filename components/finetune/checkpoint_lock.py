"""Holding a checkpoint directory for one process alone.

On a disk the lock is the operating system's, and ends with the process that holds it. An object
store has none: there it is an object that says when it was last renewed, and that is passed over
once it has not been for a minute.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    from kfp_finetune.components.finetune.checkpoint_directory import CheckpointDirectory

LOCK = "lock"
# How long a process that is just being ended may still hold the lock.
SECONDS_TO_WAIT = 10.0
SECONDS_BETWEEN_RENEWALS = 15.0
SECONDS_UNTIL_STALE = 60.0


@contextlib.contextmanager
def file_lock(folder: Path, name: str) -> Iterator[None]:
    """Hold a folder on a disk.

    Args:
        folder: It exists.
        name: What it is called in messages.

    Raises:
        InputError: If another process holds it.
    """
    import fcntl

    with (folder / LOCK).open("a+") as file:
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise _in_use(file.read() or "another process", name) from None
                time.sleep(0.2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


@contextlib.contextmanager
def object_lock(store: CheckpointDirectory, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a directory in an object store.

    Args:
        store: The directory.
        say: Called with a sentence for a person.

    Raises:
        InputError: If another process holds it.
    """
    _wait_for(store, say)
    mine = {"id": uuid.uuid4().hex, "holder": f"a process on {socket.gethostname()}"}
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(SECONDS_BETWEEN_RENEWALS):
            with contextlib.suppress(Exception):  # the next time, or it is taken for stale
                store.write(LOCK, mine | {"renewed_at": time.time()})

    store.write(LOCK, mine | {"renewed_at": time.time()})
    time.sleep(1)  # of two that write at once, the second stays
    if (store.read(LOCK) or {}).get("id") != mine["id"]:
        raise _in_use("another process", store.name)
    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(Exception):
            store.remove(LOCK)


def _wait_for(store: CheckpointDirectory, say: Callable[[str], None]) -> None:
    """Wait until a lock that lies there is stale; if it is renewed meanwhile, somebody holds it."""
    held = store.read(LOCK)
    if held and time.time() - held["renewed_at"] < SECONDS_UNTIL_STALE:
        say(f"waiting for {held['holder']}, which held the checkpoints a moment ago")
    while held and time.time() - held["renewed_at"] < SECONDS_UNTIL_STALE:
        time.sleep(1)
        before, held = held, store.read(LOCK)
        if held and held["renewed_at"] != before["renewed_at"]:
            raise _in_use(held["holder"], store.name)


def _in_use(holder: str, name: str) -> InputError:
    return InputError(
        f"{holder} is training with these checkpoints",
        where=name,
        expected="one run at a time in a checkpoint directory",
        remedy="wait until it has ended, end it, or give another --checkpoint-dir",
    )
