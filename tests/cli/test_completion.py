"""Shell completion, asked as the installed scripts of bash and zsh ask for it."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.commands import COMMAND

LINES = {
    "kfp-finetune pre": "predict",
    "kfp-finetune run --lr-sch": "--lr-scheduler-type",
    "kfp-finetune run --optimizer ada": "adamw",
    "kfp-finetune export --format o": "onnx",
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_word_is_completed(shell: str, line: str) -> None:
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
    }
    done = subprocess.run(
        [COMMAND],
        env=os.environ | asked[shell] | {"_KFP_FINETUNE_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert LINES[line] in done.stdout


def test_bash_takes_the_script_that_is_shown() -> None:
    """The script defines what bash calls, and bash gets the words from it."""
    shown = subprocess.run(
        [COMMAND], env=os.environ | {"_KFP_FINETUNE_COMPLETE": "source_bash"}, capture_output=True,
        text=True,
    ).stdout  # fmt: skip
    script = f"""{shown}
COMP_WORDS=(kfp-finetune resu) COMP_CWORD=1
_kfp_finetune_completion kfp-finetune
echo "${{COMPREPLY[@]}}"
"""
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["resume"], done.stderr
