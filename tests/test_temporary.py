"""Temporary folders, also of a process that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kfp_finetune.components.temporary import temporary_folder

_HOLD = (
    "from kfp_finetune.components.temporary import make\n"
    "folder, lock = make()\n"
    "(folder / 'data').write_text('x')\n"
    "print(folder, flush=True)\n"
    "input()\n"
)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_is_removed_and_nothing_else(temporary: Path) -> None:
    others = [temporary / "kfp-finetune-other", temporary / "theirs"]
    for folder in others:
        folder.mkdir()
        (folder / "data").write_text("precious")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _HOLD],
            env=os.environ | {"TMPDIR": str(temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    folders = [Path(p.stdout.readline().strip()) for p in processes if p.stdout]
    processes[0].kill()
    processes[0].wait()
    assert all((folder / "data").is_file() for folder in folders)
    with temporary_folder() as folder:
        assert not folders[0].exists()
        assert (folders[1] / "data").is_file()  # its process lives
        there = {path.name for path in temporary.iterdir()}
        assert there == {folders[1].name, Path(folder).name, *(path.name for path in others)}
    assert not Path(folder).exists()
    processes[1].communicate("\n")
    assert (others[0] / "data").read_text() == "precious"
