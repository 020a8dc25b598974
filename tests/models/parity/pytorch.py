"""Ask PyTorch, in its own environment, what it makes of a case; and load its answer here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.models import loading
from kfp_finetune.components.models.classifier import Classifier
from tests.models.parity.cases import LABELS

TORCH_SIDE = Path(__file__).with_name("torch_side.py")
TORCH_PYTHON = os.environ.get("TORCH_PYTHON")
# A folder with Transformers 4.57 for the same Python.
TRANSFORMERS_4 = os.environ.get("TRANSFORMERS_4")

needs_torch = pytest.mark.skipif(not TORCH_PYTHON, reason="TORCH_PYTHON is not set")


def ask(folder: Path, some: Iterable[Mapping[str, Any]]) -> None:
    """Write cases where `torch_side.py` finds them."""
    for number, case in enumerate(some):
        (folder / f"{number:02}").mkdir(parents=True)
        (folder / f"{number:02}" / "asked.json").write_text(json.dumps(case))


def run_torch(command: str, *folders: Path, **variables: str) -> None:
    """Run `torch_side.py`."""
    done = subprocess.run(
        [str(TORCH_PYTHON), str(TORCH_SIDE), command, *map(str, folders)],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr[-2000:]


def load(folder: Path, kind: str) -> Classifier:
    """Load what PyTorch saved."""
    per_token = kind == "token"
    return loading.load_classifier(
        folder,
        num_labels=LABELS,
        label_names=[],
        problem_type="word_tagging" if per_token else "single_label_classification",
        per_token=per_token,
        seed=0,
        fresh_head=False,
    )
