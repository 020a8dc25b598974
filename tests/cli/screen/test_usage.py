"""A wrong command line: found, where, expected and remedy, and nothing of the libraries' own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from kfp_finetune.cli.main import main

Command = Callable[..., tuple[int, str, str]]
WRONG = {
    "run --lerning-rate 1": ("there is no option --lerning-rate", "--learning-rate"),
    "run --batch-size many": ("--batch-size is 'many'", "a whole number"),
    "run --batch-size": ("--batch-size needs a value", ""),
    "run --drop-duplicates=3": ("--drop-duplicates takes no value", ""),
    "run --max-length 1.5": ("--max-length is '1.5'", "a whole number"),
    "run --max-length 1_000": ("--max-length is '1_000'", "a whole number"),
    "run --validation-fraction x": ("--validation-fraction is 'x'", "a number"),
    "run --runner podman": ("--runner is 'podman'", "one of: subprocess, docker"),
    "run extra": ("unexpected argument: extra", "quotes around a text that contains spaces"),
    "check a b": ("unexpected argument: b", "kfp-finetune check [OPTIONS] [DATASET]"),
    "evaluate": ("RUN_OR_MODEL is missing", "name or folder of a run"),
    "export x": ("--output is missing", "folder to create"),
    "export x -o y --format zip": ("--format is 'zip'", "one of: pt, savedmodel, onnx"),
    "predict m --top-k 0": ("--top-k is '0'", "a whole number of at least 1"),
    "predict m t --batch-size x": ("--batch-size is 'x'", "a whole number of at least 1"),
    "tensorboard --port 99999": ("--port is '99999'", "a whole number from 0 to 65535"),
    "schedules stop x": ("pause|resume|delete is 'stop'", "one of: pause, resume, delete"),
    "submit --gpus 0": ("--gpus is '0'", "a whole number of at least 1"),
    "logs run": ("STEP is missing", "name of a pipeline step, such as finetune"),
    "runz": ("there is no command 'runz'", "run"),
    "nonsense": ("there is no command 'nonsense'", "one of: run, resume"),
    "--versoin": ("there is no option --versoin", "--version"),
}
INTERNAL = re.compile(r"pydantic|click|typer|traceback|value error|input should|<class", re.I)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, in this process."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kfp-finetune", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()  # type: ignore[return-value]

    return call


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_explained(command: Command, line: str) -> None:
    found, expected = WRONG[line]
    code, out, err = command(*line.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {found}\n")
    fields = dict(re.findall(r"^  (\w+): +(.*)$", err, re.MULTILINE))
    assert list(fields) == ["where", "expected", "remedy"]
    assert expected in fields["expected"]
    assert not INTERNAL.search(err)
    assert command(*fields["remedy"].split()[1:])[0] == 0


def test_without_a_command_the_help_is_shown(command: Command) -> None:
    code, out, err = command()
    assert (code, out) == (2, "")
    assert "Usage: kfp-finetune" in err


def test_the_version_is_printed(command: Command) -> None:
    code, out, err = command("--version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"kfp-finetune \d+\.\d+\.\d+\n", out)
