"""The training log: every step and every evaluation, for TensorBoard and for the model.

It is written from the trainer's step log and the run's history, which checkpoints contain. A
resumed run therefore writes its curves again from the first step, each step once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, summary_v2
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.history import History, LogRows
from kfp_finetune.components.finetune.trainer import EXAMPLES, GRADIENT_NORM, LEARNING_RATE, LOSS
from kfp_finetune.components.load_data.steps import StepPlan
from kfp_finetune.components.storage.uris import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class DivergedError(InputError):
    """A loss or gradient is not finite.

    Args:
        step: The step, counted from 0.
        found: See `InputError`.
        **more: The other parts of an `InputError`.
    """

    def __init__(self, step: int, found: str, **more: str) -> None:
        super().__init__(found, **more)
        self.step = step


class TrainingLog:
    """Write event files and collect the records of the training log.

    A step is logged under its number, counted from 0, and an evaluation under the number of
    steps before it. A very long run logs the steps that `sampling` keeps, and the last one.
    Event files left by an interrupted process of the same run are removed.

    Args:
        log_dir: The folder for TensorBoard's event files; None: another worker writes them.
        history: The times and evaluations of the run.
        settings: The hyperparameters for TensorBoard's HParams table, in this order.
        metrics: Names of the evaluated metrics, which are the other columns of that table.
        batch_of: Returns the batch of a step, for messages.
        remedy: What to try where training diverges, as options.

    Attributes:
        records: The training log, for `artifacts.model.write_training_log`.
    """

    def __init__(
        self,
        log_dir: Path | None,
        history: History,
        settings: Mapping[str, str | int | float | bool],
        metrics: Sequence[str],
        batch_of: Callable[[int], object],
        remedy: str,
    ) -> None:
        self._events = None
        if log_dir is not None:
            for stale in log_dir.glob("events.out.tfevents.*"):
                stale.unlink()
            # A shorter queue would make a step wait for the disk.
            self._events = EventFileWriter(str(log_dir), max_queue_size=10_000)
        self._history = history
        self._batch_of = batch_of
        self._remedy = remedy
        self._rows = LogRows(history.num_train_steps)
        self._written = 0
        self._evaluations_written = 0
        self.records: list[dict[str, Any]] = []
        columns = [summary_v2.HParam(name) for name in settings]
        measured = [summary_v2.Metric(f"validation/{name}") for name in metrics]
        self._add(summary_v2.hparams_config_pb(columns, measured))
        self._add(summary_v2.hparams_pb(dict(settings)))

    @property
    def waiting(self) -> int:
        """The number of steps made but not yet written."""
        return self._history.updates_done - self._written

    def write(self, step_log: Any) -> None:
        """Write the steps and evaluations since the last call.

        Args:
            step_log: The `step_log` of the trainer.

        Raises:
            DivergedError: If a loss or gradient is not finite.
        """
        history = self._history
        found = self._rows.written(self._written, history.updates_done)
        values = tf.gather(step_log, tf.constant([row for _, row in found], tf.int64))
        for (step, row), applied in zip(found, values.numpy().tolist(), strict=True):
            self._evaluations_up_to(step)
            self._check_finite(step, applied)
            if step % self._rows.stride and step + 1 < history.num_train_steps:
                continue  # only checked, because the next step overwrites its row
            ended_at, seconds = history.times[row]
            self._scalars(
                step,
                float(ended_at),
                {
                    "train/learning_rate": applied[LEARNING_RATE],
                    "train/loss": applied[LOSS],
                    "train/gradient_norm": applied[GRADIENT_NORM],
                    "train/examples_per_second": applied[EXAMPLES] / max(seconds, 1e-9),
                },
            )
            self.records.append(
                {"step": step, "learning_rate": applied[LEARNING_RATE], "loss": applied[LOSS]}
            )
        self._written = history.updates_done
        self._evaluations_up_to(self._written)
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Mark the run as successful and close the event file."""
        end = session_end_pb(api_pb2.STATUS_SUCCESS)  # the same message in TensorFlow's class
        self._add(Summary.FromString(end.SerializeToString()))
        if self._events is not None:
            self._events.close()

    def _evaluations_up_to(self, step: int) -> None:
        """Write the evaluations up to `step` that are not yet written."""
        evaluations = self._history.evaluations
        while self._evaluations_written < len(evaluations):
            found = evaluations[self._evaluations_written]
            if found.step > step:
                return
            named = {f"validation/{name}": value for name, value in found.metrics.items()}
            self._scalars(found.step, found.wall_time, named)
            self.records.append({"step": found.step, "validation": found.metrics})
            self._evaluations_written += 1

    def _scalars(self, step: int, wall_time: float, values: Mapping[str, float]) -> None:
        parts = [part for name, v in values.items() for part in scalar_pb(name, v).value]
        self._add(Summary(value=parts), step, wall_time)

    def _add(self, summary: Summary, step: int = 0, wall_time: float | None = None) -> None:
        if self._events is not None:
            self._events.add_event(Event(summary=summary, step=step, wall_time=wall_time))

    def _check_finite(self, step: int, row: Sequence[float]) -> None:
        name = "loss" if not math.isfinite(row[LOSS]) else "gradient"
        value = row[LOSS] if name == "loss" else row[GRADIENT_NORM]
        if math.isfinite(value):
            return
        raise DivergedError(
            step,
            f"training diverged: the {name} of step {step:,} is {value} (learning rate"
            f" {row[LEARNING_RATE]:.3g}, batch of {self._batch_of(step)})",
            where="learning_rate",
            expected="a finite loss at every step",
            remedy=self._remedy,
        )


def hyperparameters(
    optimizer: OptimizerConfig, plan: StepPlan, settings: Mapping[str, Any], model: str, data: str
) -> dict[str, str | int | float | bool]:
    """The hyperparameters for TensorBoard's HParams table, by the names of pipeline parameters.

    The table shows the first five in alphabetical order, so values at their defaults are omitted,
    except those that people compare.
    """
    schedule = optimizer.schedule
    compared = {
        "batch_size": plan.batch_size,
        "dataset": Path(without_secrets(data)).name,
        "learning_rate": schedule.learning_rate,
        "lr_scheduler_type": schedule.name,
        "model": Path(model).name,
        "num_train_epochs": plan.num_train_epochs,
        "num_train_steps": plan.num_train_steps,
        "optimizer": optimizer.name,
        "seed": settings["seed"],
    }
    unusual = {
        **optimizer.model_dump(exclude_defaults=True, exclude={"name", "schedule", "parameters"}),
        **schedule.model_dump(exclude_defaults=True, exclude={"name"}),
        **{name: value for name, value in settings.items() if value not in (0, "none")},
    }
    if plan.gradient_accumulation_steps > 1:
        unusual["gradient_accumulation_steps"] = plan.gradient_accumulation_steps
    shown = {n: v for n, v in unusual.items() if isinstance(v, str | int | float)}
    return shown | compared
