"""Output on a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from kfp_finetune.progress.wrapping import wrapped
from tests.commands import COMMAND
from tests.processes import read_terminal

URL = "https://example.org/" + "a-long-path/" * 9
NOTE = "a word-with-hyphens and a sentence that is a good deal longer than one line is wide"
SHOW = f"""
from kfp_finetune.progress.terminal import TerminalScreen
screen = TerminalScreen()
screen.started("finetune")
screen.progress("finetune", 1, 1000, "steps", "epoch 1/12 · loss 0.123")
import time; time.sleep(0.6)
screen.progress("finetune", 300, 1000, "steps", "epoch 1/12 · loss 0.123")
time.sleep(0.6)
screen.note("finetune", "{NOTE}")
screen.ended("finetune", "done", "3 s")
screen.summary("run a succeeded", [("plan", "{NOTE}"), ("TensorBoard", "{URL}")])
screen.close()
"""


def shown(columns: int, *command: str | Path, cwd: Path) -> str:
    """The output of a command on a terminal of this width, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs,
        env=environment | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    found = read_terminal(ours)
    process.wait()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", found)


def test_a_run_on_80_columns(tmp_path: Path) -> None:
    text = shown(80, sys.executable, "-c", SHOW, cwd=tmp_path)
    assert re.search(r"300/1,000 steps +[\d,]+ steps/s +\d+:\d\d left", text)
    lines = [line.rstrip() for line in re.split(r"\r?\n|\r", text)]
    assert max(len(line) for line in lines if URL not in line) <= 80
    assert [line for line in lines if URL in line] == [f" TensorBoard  {URL}"]  # one link
    for indent in (19, 14):  # a note, a row of the summary
        start = next(i for i, line in enumerate(lines) if line[indent:].startswith("a word-with"))
        rest = [line for line in lines[start + 1 :] if line.startswith(" " * indent)]
        assert f"{lines[start][indent:]} {rest[0].strip()}" == NOTE


def test_errors_on_80_columns(tmp_path: Path) -> None:
    text = shown(80, COMMAND, "run", "--dataset", "gone.csv", "--model", ".", cwd=tmp_path)
    lines = text.replace("\r", "").splitlines()
    assert lines[0].startswith("error: there is no file")
    at = next(i for i, line in enumerate(lines) if line.startswith("  expected: "))
    assert all(len(line) <= 80 for line in lines[at:])
    assert lines[at + 1].startswith(" " * 12) and lines[at + 1][12] != " "


@pytest.mark.parametrize("width", [10, 40, 80])
def test_words_and_commands_stay_whole(width: int) -> None:
    lines = wrapped(f"{NOTE} {URL}", width, "  where:    ")
    assert " ".join(" ".join(lines).split()) == f"where: {NOTE} {URL}"
    command = "kfp-finetune run --dataset a --model b " + "--text-column text " * 5
    assert wrapped(command, width, "  ") == ["  " + command]
