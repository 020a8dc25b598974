"""Wrong input is refused once, with a remedy that works, and nothing is left behind."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from kfp_finetune.components import runtime
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters

_FIELDS = {field.name: field for field in fields(Parameters)}
_REMEDY = re.compile(r"(omit )?--([a-z-]+)(?: (\S+))?")
# The path is an example: the test's own data is elsewhere.
_NOT_TRIED = ("dataset",)


@dataclass(frozen=True)
class Refusal:
    """The parts that a message must contain, in any wording.

    Attributes:
        found: Parts of what was found.
        where: The place, as it is.
        expected: Parts of what was expected.
        remedy: Parts of the remedy. One such as "--max-length 40" or "omit --text-pair-column" is
            tried, too.
    """

    found: tuple[str, ...]
    where: str
    expected: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()


# Files by name; parameters (the dataset is the first file, if no other is named); the message.
Case = tuple[dict[str, Any], dict[str, Any], Refusal]


def check(case: Case, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Run load_data on a case, check its message, and follow the remedy."""
    files, given, refusal = case
    folder, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "data.html"
    folder.mkdir()
    for name, content in files.items():
        if callable(content):
            content(folder / name)
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).write_text(content)
    parameters: dict[str, Any] = {
        "dataset": f"{{dir}}/{next(iter(files))}",
        "model": str(model),
        "max_length": 16,
    } | given
    for name, value in parameters.items():
        if isinstance(value, str):
            parameters[name] = value.replace("{dir}", str(folder))

    outputs = [dsl.Dataset(uri=str(out)), dsl.HTML(uri=str(report))]
    with pytest.raises(SystemExit) as stopped, runtime.step("load_data", *outputs):
        load_data(Parameters(**parameters), str(out), str(report))

    assert stopped.value.code == 2
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err
    lines = [runtime.parse_line(line) for line in printed.out.splitlines()]
    errors = [line[1] for line in lines if line and line[0] == runtime.ERROR_LINE]
    assert [(error["step"], error["kind"]) for error in errors] == [("load_data", "input")]
    error = InputError.from_dict(errors[0])
    _check_message(error, refusal, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert not printed.err
    for remedy in refusal.remedy:
        _follow(remedy, parameters, error.found, tmp_path)


def _check_message(error: InputError, refusal: Refusal, folder: Path) -> None:
    def shown(text: str) -> str:
        return text.replace(str(folder), "{dir}").replace(str(Path.cwd()), "{here}")

    assert shown(error.where) == refusal.where
    for text, parts in (
        (error.found, refusal.found),
        (error.expected, refusal.expected),
        (error.remedy, refusal.remedy),
    ):
        assert text
        missing = [part for part in parts if part not in shown(text)]
        assert not missing, f"{shown(text)!r} lacks {missing}"
    for flag in re.findall(r"--([a-z-]+)", error.remedy):
        assert flag.replace("-", "_") in _FIELDS, f"there is no option --{flag}"


def _follow(remedy: str, parameters: dict[str, Any], found: str, tmp_path: Path) -> None:
    """Change the parameters as a remedy says: the same is not found again."""
    option = _REMEDY.fullmatch(remedy)
    if not option or not (option[1] or option[3]) or option[2] in _NOT_TRIED:
        return
    name = option[2].replace("-", "_")
    changed = {key: value for key, value in parameters.items() if key != name}
    if option[3]:
        default = _FIELDS[name].default
        number = name in ("max_train_samples", "max_length") or isinstance(default, int | float)
        changed[name] = (
            (float if isinstance(default, float) else int)(option[3])
            if number
            else (option[3].strip("'"))
        )
    out = tmp_path / "again"
    try:
        load_data(Parameters(**changed), str(out), str(tmp_path / "again.html"))
    except InputError as error:
        assert found not in [problem.found for problem in error.problems], f"{remedy} does not help"
    finally:
        shutil.rmtree(out, ignore_errors=True)
