"""The command line, as a person calls it: the installed command, or in this process."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("kfp-finetune")


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `kfp-finetune` in a folder."""
    return subprocess.run(
        [COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def call_here(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `kfp-finetune` in a folder, in this process, which has already imported TensorFlow.

    For further calls of a command of which a test runs the installed one.
    """
    from kfp_finetune.cli import main as command_line

    out, err = io.StringIO(), io.StringIO()
    code: int | str | None = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["kfp-finetune", *arguments])
        try:
            command_line.main()
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(
        ["kfp-finetune", *arguments], int(code or 0), out.getvalue(), err.getvalue()
    )
