"""TensorFlow as the step sets it up: threads and devices can only be set before its first use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from kfp_finetune.components.finetune import devices
from tests.finetune.runs import STEPS, Run, killer

devices.configure(seed=0)
# Two devices for the tests of strategies; all others use the first.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """End training right after this update, before it can be saved."""
    return killer(monkeypatch)


@pytest.fixture(scope="session")
def whole(
    tiny_data: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The results of a run that is neither killed nor saved."""
    run = Run(tmp_path_factory.mktemp("whole"), tiny_data, tiny_model)
    run(checkpoint_dir=None)
    found = run.results()
    assert [step for step, _ in found["curves"]["train/loss"]] == list(range(STEPS))
    return found


@pytest.fixture(scope="session")
def killed_at_8(
    tiny_data: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a run killed in mid-epoch (an epoch has 13 updates), saved at steps 3 and 6."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Run(folder, tiny_data, tiny_model).killed_at(8, killer(monkeypatch))
    return folder


@pytest.fixture
def killed(killed_at_8: Path, tiny_data: Path, tiny_model: Path, tmp_path: Path) -> Run:
    """A copy of that run, which may be continued or damaged."""
    shutil.copytree(killed_at_8, tmp_path, dirs_exist_ok=True)
    return Run(tmp_path, tiny_data, tiny_model)
