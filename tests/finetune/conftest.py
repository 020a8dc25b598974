"""TensorFlow as the step sets it up: threads and devices can only be set before its first use."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tensorflow as tf

from kfp_finetune.components.finetune import devices
from tests.finetune.runs import killer

devices.configure(seed=0)
# Two devices for the tests of strategies; all others use the first.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """End training right after this update, before it can be saved."""
    return killer(monkeypatch)
