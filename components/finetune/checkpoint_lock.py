"""Holding a checkpoint directory for one process alone.

On a disk the lock is the operating system's, and ends with the process that holds it. An object
store has none: there it is an object that says when it was last renewed, and that is passed over
once it has not been for a minute.
"""

from __future__ import annotations

import contextlib
import os
import re
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
_OURS = re.compile(r"(process \d+ on \S+)?")
_LONGEST = 1000
# How long a process that is just being ended may still hold the lock; on a network's file system,
# one that is gone.
SECONDS_TO_WAIT = 45.0
SECONDS_BETWEEN_RENEWALS = 15.0
SECONDS_UNTIL_STALE = 60.0


@contextlib.contextmanager
def file_lock(folder: Path, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder on a disk.

    Args:
        folder: It exists.
        name: What it is called in messages.
        say: Called with a sentence for a person.

    Raises:
        InputError: If another process holds it.
    """
    import fcntl

    with (folder / LOCK).open("a+") as file:
        began = time.monotonic()
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "another process"
                if time.monotonic() - began > SECONDS_TO_WAIT:
                    raise _in_use(holder, name) from None
                if not told and time.monotonic() - began > 1:
                    told = True
                    say(f"waiting for {holder}, which holds the checkpoints")
                time.sleep(0.2)
        file.seek(0)
        if not _OURS.fullmatch(file.read(_LONGEST)):
            raise InputError(
                f"the file {LOCK} is not one that kfp-finetune wrote",
                where=name,
                expected="a directory for checkpoints alone",
                remedy="give another --checkpoint-dir",
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


@contextlib.contextmanager
def object_lock(
    store: CheckpointDirectory, say: Callable[[str], None]
) -> Iterator[Callable[[], bool]]:
    """Hold a directory in an object store.

    Args:
        store: The directory.
        say: Called with a sentence for a person.

    Yields:
        What tells whether it was lost: taken over by a process to which this one seemed gone.

    Raises:
        InputError: If another process holds it.
    """
    _wait_for(store, say)
    mine = {"id": uuid.uuid4().hex, "holder": f"a process on {socket.gethostname()}"}
    ended = threading.Event()

    def lost() -> bool:
        found = store.read(LOCK)
        return bool(found) and found["id"] != mine["id"]

    def renew() -> None:
        while not ended.wait(SECONDS_BETWEEN_RENEWALS):
            with contextlib.suppress(Exception):  # the next time, or it is taken for stale
                if lost():
                    return
                store.write(LOCK, mine | {"renewed_at": time.time()})

    store.write(LOCK, mine | {"renewed_at": time.time()})
    time.sleep(1)  # of two that write at once, the second stays
    if lost():
        raise _in_use("another process", store.name)
    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(Exception):
            if not lost():
                store.remove(LOCK)


def _wait_for(store: CheckpointDirectory, say: Callable[[str], None]) -> None:
    """Wait until a lock has not been renewed for a while, by this machine's clock alone."""
    held = store.read(LOCK)
    if not held:
        return
    say(f"waiting for {held['holder']}, which held the checkpoints")
    began = time.monotonic()
    while held and time.monotonic() - began < SECONDS_UNTIL_STALE:
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
