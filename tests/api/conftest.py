"""The notebook of the documents, executed once for all tests of the Python API."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Executed:
    """A notebook that has been executed.

    Attributes:
        folder: The working directory; its runs are in runs/.
        shown: What each code cell shows, in order.
        before: The state of the process before the first cell.
        after: The state after the last one.
        output: What was printed.
    """

    folder: Path
    shown: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    output: str


@pytest.fixture(scope="session")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """docs/first-steps.ipynb, with fewer epochs."""
    folder = tmp_path_factory.mktemp("notebook")
    source = (ROOT / "docs" / "first-steps.ipynb").read_text()
    assert source.count("num_train_epochs=8") == 1
    (folder / "notebook.ipynb").write_text(source.replace("epochs=8", "epochs=1"))
    script = Path(__file__).with_name("execute_notebook.py")
    done = subprocess.run(
        [sys.executable, script, "notebook.ipynb", "result.json"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((folder / "result.json").read_text())
    return Executed(folder, output=done.stdout, **result)
