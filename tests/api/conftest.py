"""The notebook of the documents, executed once in a real kernel for all tests of the API."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
# Traces that a call could leave in the process.
STATE = """
import json, logging, os, signal
def state():
    return {
        "environment": dict(os.environ),
        "handlers": [repr(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)],
        "folder": os.getcwd(),
        "logging": [len(logging.getLogger().handlers), logging.getLogger().level],
    }
before = state()
"""


@dataclass(frozen=True)
class Executed:
    """A notebook that has been executed.

    Attributes:
        folder: The working directory of the kernel; its runs are in runs/.
        outputs: The outputs of every code cell of the document, in order.
        before: The state of the process before the first cell.
        after: The state after the last one.
    """

    folder: Path
    outputs: list[list[Any]]
    before: dict[str, Any]
    after: dict[str, Any]

    def shown(self, cell: int, kind: str) -> str:
        """The output of a cell: "html", "plain" or "printed"."""
        found = [
            output.get("text", "") if kind == "printed" else output["data"][f"text/{kind}"]
            for output in self.outputs[cell]
            if (output["output_type"] == "stream") == (kind == "printed")
        ]
        return "".join(found)


@pytest.fixture(scope="session")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """docs/first-steps.ipynb, with one epoch."""
    folder = tmp_path_factory.mktemp("notebook")
    source = (ROOT / "docs" / "first-steps.ipynb").read_text()
    assert source.count("num_train_epochs=8") == 1
    document = nbformat.reads(source.replace("epochs=8", "epochs=1"), as_version=4)
    first = nbformat.v4.new_code_cell(STATE)
    last = nbformat.v4.new_code_cell("json.dumps([before, state()])")
    document.cells = [first, *document.cells, last]
    # Sockets in a folder of this user, instead of ports that everybody on the machine can reach.
    kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=str(folder / "socket"))
    NotebookClient(
        document,
        km=kernel,
        timeout=1200,
        startup_timeout=300,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    outputs = [cell.outputs for cell in document.cells if cell.cell_type == "code"]
    before, after = json.loads(ast.literal_eval(outputs[-1][0]["data"]["text/plain"]))
    return Executed(folder, outputs[1:-1], before, after)
