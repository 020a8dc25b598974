"""The example of the README, run once for every test that looks at what it left."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_in_kfp(folder: Path, code: str) -> str:
    """Run Python code in a folder that has pipelines/, as a person does who imports components."""
    (folder / "pipelines").symlink_to(ROOT / "pipelines")
    path = folder / "example.py"  # KFP reads the source of what it compiles
    path.write_text(code)
    done = subprocess.run(
        [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def readme_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of steps that the example leaves."""
    folder = tmp_path_factory.mktemp("readme")
    readme = (ROOT / "pipelines" / "finetune" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    printed = run_in_kfp(folder, code)
    (steps,) = (folder / "local_outputs").glob("my-training-*")
    (steps / "printed.txt").write_text(printed)
    return steps
