"""Executes a notebook's cells in this process, and writes what they show and leave as JSON.

python execute_notebook.py NOTEBOOK RESULT
"""

from __future__ import annotations

import ast
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any


def main(notebook: str, result: str) -> None:
    cells = json.loads(Path(notebook).read_text())["cells"]
    before = state()
    names: dict[str, Any] = {}
    shown = []
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            shown.append(display(execute("".join(cell["source"]), f"cell {number}", names)))
    after = state()
    Path(result).write_text(json.dumps({"shown": shown, "before": before, "after": after}))


def execute(source: str, name: str, names: dict[str, Any]) -> Any:
    """Execute a cell, and return the value of its last line if that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), name, "exec"), names)  # noqa: S102
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307


def display(value: Any) -> str:
    """What a notebook shows of a value."""
    return value._repr_html_() if hasattr(value, "_repr_html_") else repr(value)


def state() -> dict[str, Any]:
    """What a call could leave behind in the process."""
    return {
        "environment": dict(os.environ),
        "handlers": [repr(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)],
        "folder": str(Path.cwd()),
        "logging": [len(logging.getLogger().handlers), logging.getLogger().level],
    }


main(*sys.argv[1:])
