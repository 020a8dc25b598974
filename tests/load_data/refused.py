"""What load_data says of wrong input: once, whole, and nothing is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from kfp_finetune.components import runtime
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters

# Files by name, parameters (the dataset is the first file, if no other is named), and the message:
# what was found, where, what was expected, the remedy.
Case = tuple[dict[str, Any], dict[str, Any], tuple[str, str, str, str]]


def check(case: Case, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Run load_data, and compare what it says with the case's message."""
    files, given, (found, where, expected, remedy) = case
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
    said = [runtime.parse_line(line) for line in printed.out.splitlines()]
    errors = [line[1] for line in said if line and line[0] == runtime.ERROR_LINE]
    assert [(error["step"], error["kind"]) for error in errors] == [("load_data", "input")]
    message = str(InputError.from_dict(errors[0]))
    message = message.replace(str(folder), "{dir}").replace(str(Path.cwd()), "{here}")
    assert message == (
        f"{found}\n  where:    {where}\n  expected: {expected}\n  remedy:   {remedy}"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert not printed.err
