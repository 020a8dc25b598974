"""TensorFlow as the step sets it up: threads and devices can only be set before its first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tensorflow as tf

from kfp_finetune.components.finetune import callbacks, devices
from tests.finetune.runs import Killed

devices.configure(seed=0)
# Two devices for the tests of strategies; all others use the first.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int | None], None]]:
    """Has training end at once after so many updates, before they could be saved."""
    at: list[int | None] = [None]
    real = callbacks.Clock.on_train_batch_end

    def on_train_batch_end(self: Any, batch: int, logs: Any = None) -> None:
        real(self, batch, logs)
        if self._history.updates_done == at[0]:
            raise Killed

    monkeypatch.setattr(callbacks.Clock, "on_train_batch_end", on_train_batch_end)
    yield lambda step: at.__setitem__(0, step)
