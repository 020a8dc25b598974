"""Wrong input is refused once, with a remedy that works, and nothing is left behind."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from kfp_finetune.components import runtime
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters
from tests import tiny

_FIELDS = {field.name: field for field in fields(Parameters)}
_REMEDY = re.compile(r"(omit )?--([a-z-]+)(?: (\S+))?")
# The path is an example: the test's own data is elsewhere.
_NOT_TRIED = ("dataset",)

Files = dict[str, "str | bytes | Callable[[Path], object]"]


@dataclass(frozen=True)
class Case:
    """Wrong input, and what its message must contain, in any wording.

    A part " ... " of a text below stands for any words; {dir} is the folder of the files, and
    {file} the first of them.

    Attributes:
        files: What is in the folder: text, bytes, or a function that makes the file, by name.
        given: The parameters. The dataset is the first file unless it is given.
        found: What was found.
        where: The whole place.
        expected: What was expected.
        remedy: What to do. A part such as "--max-length 40" or "omit --text-pair-column" is tried,
            too.
    """

    files: Files
    given: dict[str, Any] = field(default_factory=dict)
    found: str = ""
    where: str = "{file}"
    expected: str = ""
    remedy: str = ""


ROWS = tiny.rows(30)


def csv_of(data: list[dict[str, Any]]) -> str:
    """Rows whose cells need no quotes."""
    return "".join(",".join(map(str, line)) + "\n" for line in [data[0], *map(dict.values, data)])


def json_lines(data: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in data)


def labelled(*labels: Any) -> Files:
    """A file of JSON lines with these labels, in turn."""
    rows = [row | {"label": labels[i % len(labels)]} for i, row in enumerate(ROWS)]
    return {"data.jsonl": json_lines(rows)}


def with_column(name: str, *values: str) -> Files:
    """A CSV file with one more column of these values, in turn."""
    rows = [row | {name: values[i % len(values)]} for i, row in enumerate(ROWS)]
    return {"data.csv": csv_of(rows)}


GOOD = csv_of(ROWS)
PLAIN: Files = {"data.csv": GOOD}


def check(case: Case, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Run load_data on a case, check its message, and follow the remedy."""
    folder, out, report = tmp_path / "in", tmp_path / "out", tmp_path / "data.html"
    folder.mkdir()
    for name, content in case.files.items():
        if callable(content):
            content(folder / name)
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).write_text(content)
    first = f"{{dir}}/{next(iter(case.files))}"
    parameters = {"dataset": first, "model": str(model), "max_length": 16} | case.given
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
    _check_message(error, case, {"{file}": first, "{dir}": str(folder), "{here}": str(Path.cwd())})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert not printed.err
    for remedy in case.remedy.split(" ... "):
        _follow(remedy, parameters, error.found, tmp_path)


def _check_message(error: InputError, case: Case, names: dict[str, str]) -> None:
    def filled(text: str) -> str:
        for name, value in names.items():
            text = text.replace(name, value)
        return text

    assert error.where == filled(case.where)
    for text, parts in (
        (error.found, case.found),
        (error.expected, case.expected),
        (error.remedy, case.remedy),
    ):
        assert text
        pattern = ".*".join(map(re.escape, filled(parts).split(" ... ")))
        assert re.search(pattern, text), f"{text!r} lacks {parts!r}"
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
