"""Locks in a real S3 server, and on a disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage import locks
from kfp_finetune.components.storage.folder import Folder
from kfp_finetune.components.storage.locks import LOCK, HeldError, locked
from tests.servers import Bucket


def test_the_store_decides_who_writes_first(s3: Bucket) -> None:
    folder = Folder(f"{s3.uri}/conditions")
    assert folder.write_if("x", b"one", None)
    assert not folder.write_if("x", b"two", None), "it exists"
    found = folder.version("x")
    assert found is not None and found[0] == b"one"
    assert folder.write_if("x", b"three", found[1])
    assert not folder.write_if("x", b"four", found[1]), "it has changed"
    assert folder.read("x") == b"three"
    folder.remove("x")
    assert not folder.write_if("x", b"five", found[1]), "it is gone"


def test_one_of_many_that_start_at_once_gets_the_lock(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SECONDS_BETWEEN_RENEWALS", 0.2)
    holding, ended = threading.Barrier(5, timeout=60), threading.Event()
    results: list[str] = []

    def run() -> None:
        folder = Folder(f"{s3.uri}/race")
        holding.wait()
        try:
            with locked(folder, lambda text: None):
                results.append("held")
                ended.wait(60)
        except HeldError:
            results.append("refused")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    holding.wait()
    for _ in range(600):
        if results.count("refused") == 3:
            break
        ended.wait(0.1)
    ended.set()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["held", "refused", "refused", "refused"]
    assert Folder(f"{s3.uri}/race").version(LOCK) is None, "released"


def test_a_lock_that_is_not_renewed_is_taken_over_by_one(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SECONDS_UNTIL_STALE", 1.0)
    folder = Folder(f"{bucket.uri}/stale")
    assert folder.write_if(LOCK, b'{"id": "gone", "holder": "a process on another host"}', None)
    said: list[str] = []
    with locked(folder, said.append) as is_lost:
        assert said == [f"waiting for a process on another host, which held {bucket.uri}/stale"]
        assert not is_lost()
        folder.write(LOCK, '{"id": "other", "holder": "a process on a third host"}')
        assert is_lost()
    assert folder.version(LOCK) is not None, "the other's lock stays"


def test_a_folder_on_a_disk_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SECONDS_TO_WAIT", 0.3)
    one, two = Folder(str(tmp_path)), Folder(str(tmp_path))
    with locked(one, print), pytest.raises(HeldError, match="process "), locked(two, print):
        pass
    with locked(two, print):
        pass


def test_an_object_that_is_no_lock_is_refused_and_kept(s3: Bucket) -> None:
    folder = Folder(f"{s3.uri}/foreign")
    folder.write(LOCK, "somebody's notes")
    with (
        pytest.raises(InputError, match="was not written by kfp-finetune"),
        locked(folder, lambda text: None),
    ):
        pass
    assert folder.read(LOCK) == b"somebody's notes"
