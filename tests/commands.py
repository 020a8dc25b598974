"""The installed command, as a person calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("kfp-finetune")


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `kfp-finetune` in a folder."""
    return subprocess.run(
        [COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
