"""Keras callbacks, in the order they are called: clock, evaluation, log, checkpoints, progress."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.build_optimizer.schedules import learning_rate_at
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.history import (
    ENDED_AT,
    SECONDS,
    BestWeights,
    Evaluation,
    History,
    LogRows,
)
from kfp_finetune.components.finetune.selection import Selection
from kfp_finetune.components.load_data.steps import StepPlan
from kfp_finetune.components.progress_file import ProgressFile
from kfp_finetune.components.runtime import Progress, check_not_terminated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_finetune.components.artifacts.optimizer_config import Schedule
    from kfp_finetune.components.finetune.checkpoints import Checkpoints, NoCheckpoints
    from kfp_finetune.components.finetune.trainer import Trainer
    from kfp_finetune.components.finetune.training_log import TrainingLog

UPDATES_BETWEEN_WRITES = 50


class Callbacks(keras.callbacks.CallbackList):
    """Callbacks that get the loss of a step as a tensor, so that no step waits for it.

    Args:
        callbacks: The callbacks, in the order to call them.
        trainer: The model that trains.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], trainer: Trainer) -> None:
        super().__init__(list(callbacks), add_history=True, model=trainer)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call every callback; Keras would copy the loss off the device first."""
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)


class Clock(keras.callbacks.Callback):
    """Count and time the steps. Comes first, because the other callbacks read the count."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history
        self._rows = LogRows(history.num_train_steps)
        self._began = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Start the clock; the time of a step includes loading its data."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Record the step."""
        row = self._history.times[self._rows.of(self._history.updates_done)]
        row[ENDED_AT], row[SECONDS] = time.time(), time.perf_counter() - self._began
        self._history.seconds += row[SECONDS]
        self._history.updates_done += 1


class Evaluate(keras.callbacks.Callback):
    """Evaluate on the validation split after every epoch and after the last step.

    Args:
        trainer: The model to evaluate.
        validation: As `inputs.validation_dataset` returns it; None if there are no rows.
        plan: The counted plan.
        history: Receives the evaluations, and the step at which training stopped early.
        selection: Which evaluation is best, and when to stop.
        best: Keeps the weights of the best evaluation; None: they are not kept.
        finite: Keeps the weights of the last evaluation with a finite loss; None: they are not
            kept.
    """

    def __init__(
        self,
        trainer: Trainer,
        validation: tuple[Any, int] | None,
        plan: StepPlan,
        history: History,
        selection: Selection,
        best: BestWeights | None,
        finite: BestWeights | None,
    ) -> None:
        super().__init__()
        self._trainer = trainer
        self._validation = validation
        self._plan = plan
        self._history = history
        self._selection = selection
        self._best = best
        self._finite = finite

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Evaluate at the end of an epoch, and stop training if it is time."""
        self.evaluate_if_due()
        self._trainer.stop_training = self._history.stopped_at is not None

    def evaluate_if_due(self) -> None:
        """Evaluate if the steps made so far complete an epoch that is not yet evaluated.

        A call before training starts repeats an evaluation that a killed run did not finish.
        """
        step, evaluations = self._history.updates_done, self._history.evaluations
        at_end = step % self._plan.steps_per_epoch == 0 or step == self._plan.num_train_steps
        if self._validation is None or step == 0 or not at_end:
            return
        if evaluations and evaluations[-1].step == step:
            return
        dataset, batches = self._validation
        try:
            metrics = self._trainer.evaluate(
                dataset, steps=batches, verbose=0, return_dict=True, callbacks=[_Interruptible()]
            )
        except tf.errors.ResourceExhaustedError:
            raise InputError(
                f"out of memory in the evaluation after step {step:,}",
                where="batch_size, max_length",
                expected="batches that fit into memory",
                remedy=f"--batch-size {max(1, self._plan.batch_size // 2)}, or a smaller"
                " --max-length",
            ) from None
        evaluations.append(
            Evaluation(step, {name: float(v) for name, v in metrics.items()}, time.time())
        )
        is_finite = math.isfinite(evaluations[-1].metrics["loss"])
        if self._finite is not None and is_finite:
            self._finite.keep()
        best = self._selection.best(evaluations)
        since = len(evaluations) - 1 - best
        if self._best is not None and since == 0 and is_finite:
            self._best.keep()
        patience = self._selection.patience
        if patience is not None and since >= patience and step < self._plan.num_train_steps:
            metric = self._selection.metric
            self._history.stopped_at = StoppedAt(
                step=step,
                reason=f"validation {metric} has not improved on"
                f" {evaluations[best].metrics[metric]:.4g} (after step"
                f" {evaluations[best].step:,}) for {since} evaluation{'s' if since > 1 else ''}",
            )


class _Interruptible(keras.callbacks.Callback):
    """End an evaluation between two batches, where nothing has to be saved."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        check_not_terminated()


class WriteLog(keras.callbacks.Callback):
    """Write the training log in blocks of steps, so that no step waits for it."""

    def __init__(self, trainer: Trainer, log: TrainingLog, history: History) -> None:
        super().__init__()
        self._trainer = trainer
        self._log = log
        self._history = history

    def write(self) -> None:
        """Write all steps and evaluations made so far."""
        self._log.write(self._trainer.step_log)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Write when a block is full, and after every evaluation."""
        evaluations = self._history.evaluations
        evaluated = bool(evaluations) and evaluations[-1].step == self._history.updates_done
        if evaluated or self._log.waiting >= UPDATES_BETWEEN_WRITES:
            self.write()


class SaveCheckpoints(keras.callbacks.Callback):
    """Save a checkpoint when it is due, and end training if the process got a signal to end.

    Args:
        checkpoints: Saves them.
        log: Written before each checkpoint; it raises if training has diverged.
        history: Counts the steps.
    """

    def __init__(
        self, checkpoints: Checkpoints | NoCheckpoints, log: WriteLog, history: History
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._log = log
        self._history = history

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save between two steps."""
        check_not_terminated()
        if self._checkpoints.due(self._history.updates_done):
            self._log.write()
            self._checkpoints.save()


class ShowProgress(keras.callbacks.Callback):
    """Emit progress lines with the steps done and the latest loss and rate, also for Argo.

    Args:
        plan: The counted plan.
        history: Counts the steps.
        schedule: The learning-rate schedule.
    """

    def __init__(self, plan: StepPlan, history: History, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule
        self._file = ProgressFile(plan.num_train_steps)
        self._progress = Progress("finetune", plan.num_train_steps, "steps")
        self._per_epoch = plan.steps_per_epoch
        self._epochs = math.ceil(plan.num_train_epochs)
        self._history = history

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Report the progress."""
        done = self._history.updates_done
        self._file.update(done)
        if self._progress.due(done):
            epoch = min((done - 1) // self._per_epoch + 1, self._epochs)
            loss = float((logs or {})["loss"])
            rate = learning_rate_at(self._schedule, done - 1)
            detail = f"epoch {epoch}/{self._epochs} · loss {loss:.3f}"
            self._progress.update(done, detail, f"rate {rate:.3g}")
