"""What happens beside training: the event files, the training log, the progress line, the end."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.trainer import GRADIENT_NORM, LEARNING_RATE, LOSS
from kfp_finetune.components.load_data.steps import StepPlan
from kfp_finetune.components.runtime import Progress

UPDATES_BETWEEN_WRITES = 50


class _Callback(tf_keras.callbacks.Callback):
    """A callback that gets its logs as tensors, so that no update waits for them to be copied."""

    _supports_tf_logs = True


class EndOfPlan(_Callback):
    """Ends training after the last planned update, also where that is in mid-epoch."""

    def __init__(self, plan: StepPlan) -> None:
        super().__init__()
        self._last = plan.num_train_steps - 1
        self._step = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop after update number `num_train_steps`."""
        if self._step == self._last:
            self.model.stop_training = True
        self._step += 1


class TrainingLog(_Callback):
    """Writes what every update applied, and every evaluation, to TensorBoard and to a log.

    The numbers are read from the trainer's update log in blocks of 50 updates, so that no update
    waits for them. An update's step is its number, counted from 0; an evaluation's is the number
    of updates before it.

    Args:
        log_dir: Where TensorBoard's event files go.

    Raises:
        InputError: From `fit`, if a loss is not finite: training has diverged.

    Attributes:
        records: The training log, as `artifacts.model.write_training_log` takes it.
        validation_metrics: What the latest evaluation measured.
    """

    def __init__(self, log_dir: Path) -> None:
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(log_dir))
        self._written = 0
        self._examples = 0
        self._since = time.monotonic()
        self.records: list[dict[str, Any]] = []
        self.validation_metrics: dict[str, float] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock."""
        self._since = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Write a block when it is full."""
        if (batch + 1) % UPDATES_BETWEEN_WRITES == 0:
            self._write_updates()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write what is left of the epoch, and what was measured on the validation split."""
        self._write_updates()
        self.validation_metrics = {
            name.removeprefix("val_"): float(value)
            for name, value in (logs or {}).items()
            if name.startswith("val_")
        }
        if self.validation_metrics:
            step = self._written
            self.records.append({"step": step, "validation": self.validation_metrics})
            with self._writer.as_default():
                for name, value in self.validation_metrics.items():
                    tf.summary.scalar(f"validation/{name}", value, step=step)
        self._writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        """Close the event file."""
        self._write_updates()
        self._writer.close()

    def _write_updates(self) -> None:
        done = int(self.model.updates_done)
        block = self.model.update_log[self._written : done].numpy()
        with self._writer.as_default():
            for step, row in enumerate(block.tolist(), start=self._written):
                _check_finite(row[LOSS], step, row[LEARNING_RATE])
                tf.summary.scalar("train/learning_rate", row[LEARNING_RATE], step=step)
                tf.summary.scalar("train/loss", row[LOSS], step=step)
                tf.summary.scalar("train/gradient_norm", row[GRADIENT_NORM], step=step)
                self.records.append(
                    {"step": step, "learning_rate": row[LEARNING_RATE], "loss": row[LOSS]}
                )
        self._written = done
        self._writer.flush()


def _check_finite(loss: float, step: int, learning_rate: float) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"training diverged: the loss of update {step:,} is {loss} (learning rate"
            f" {learning_rate:.3g})",
            where="learning_rate",
            expected="a loss that stays finite",
            remedy="a lower --learning-rate, a --warmup-ratio of 0.1, or --max-grad-norm 1",
        )


class ShowProgress(_Callback):
    """Emits progress lines: updates done, and the loss of the latest."""

    def __init__(self, plan: StepPlan) -> None:
        super().__init__()
        self._progress = Progress("finetune", plan.num_train_steps, "steps")
        self._per_epoch = plan.steps_per_epoch
        self._epochs = math.ceil(plan.num_train_epochs)
        self._done = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Say how far training is."""
        self._done += 1
        if self._progress.due(self._done):
            epoch = min(self._done // self._per_epoch + 1, self._epochs)
            loss = float((logs or {})["loss"])
            self._progress.update(self._done, f"epoch {epoch}/{self._epochs} · loss {loss:.3f}")
