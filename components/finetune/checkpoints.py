"""Checkpoints: everything that a killed run needs to continue as if it had not been killed.

A checkpoint is written between two steps. It contains the weights, the copies of earlier weights
that the final model may get, the optimizer's slots and iterations, the state of dropout's random
numbers, the number of steps made (which determines the position in the data, because the order of
the rows is a function of the seed and the step), and the history. The curves, early stopping and
the best step are derived from these.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import distribution
from kfp_finetune.components.finetune.checkpoint_directory import CheckpointDirectory
from kfp_finetune.components.finetune.history import BestWeights, History
from kfp_finetune.components.finetune.parameters import Checkpointing
from kfp_finetune.components.finetune.resuming import check_may_resume
from kfp_finetune.components.finetune.run_facts import few
from kfp_finetune.components.finetune.trainer import Trainer
from kfp_finetune.components.runtime import Terminated, emit, termination_deferred
from kfp_finetune.components.storage.uris import without_secrets

RUN = "run.json"
# Version of the variables in a checkpoint and their names. Version 1, which was not numbered, had
# those of tf-keras and Transformers 4, with a different state of dropout; version 2 had no
# `finite`.
FORMAT = 3
# Errors of a damaged checkpoint; TensorFlow has no separate class for a wrong checksum. Any other
# error (a volume that is not mounted) ends the step, because the checkpoint may be complete.
_DAMAGED = (ValueError, tf.errors.OpError)


def state(trainer: Trainer, best: BestWeights | None, finite: BestWeights | None) -> dict[str, Any]:
    """The variables of a checkpoint, besides the history.

    TensorFlow would not find the optimizer's and dropout's variables by itself, because Keras keeps
    them where it does not look.
    """
    network = trainer.network
    return {
        "network": [variable.value for variable in network.weights],
        "optimizer": [variable.value for variable in trainer.optimizer.variables],
        "dropout": [network.dropout_seeds.state.value],
        "updates_done": trainer.updates_done,
        "step_log": trainer.step_log,
        "best": best.variables if best else [],
        "finite": finite.variables if finite else [],
    }


class Checkpoints:
    """The checkpoints of one run.

    Args:
        directory: The checkpoint directory, locked.
        trainer: The compiled model.
        history: The history of the run.
        best: The weights of the best evaluation, if they are kept.
        finite: The weights of the last evaluation with a finite loss, if they are kept.
        facts: Everything that determines the result, as `run_facts.facts_of` returns it.
        settings: When to save, how many checkpoints to keep, and which to continue from.
    """

    def __init__(
        self,
        directory: CheckpointDirectory,
        trainer: Trainer,
        history: History,
        best: BestWeights | None,
        finite: BestWeights | None,
        facts: Mapping[str, Any],
        settings: Checkpointing,
    ) -> None:
        self._directory = directory
        self._history = history
        self._facts = dict(facts)
        self._settings = settings
        self._times = tf.Variable(history.times, trainable=False)
        self._history_text = tf.Variable("", trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            times=self._times, history=self._history_text, **state(trainer, best, finite)
        )
        self._saved: int | None = None
        self._last = time.monotonic()

    def begin(self) -> None:
        """Continue the run from its newest checkpoint, or start a new run if there is none.

        Raises:
            InputError: If the checkpoints belong to a run that may not be continued.
        """
        before = self._before()
        self._directory.key = before["key"] if before else None
        steps = self._directory.steps()
        differs: dict[str, str] = {}
        if before is not None:
            reached = f"step {steps[-1]:,}" if steps else "no checkpoint yet"
            differs = check_may_resume(
                before, self._facts, self._settings, reached=reached, where=self._directory.name
            )
            self._restore(steps)
        elif steps:
            raise InputError(
                f"the directory has checkpoints of an unknown run: {RUN} is missing",
                where=self._directory.name,
                expected="one checkpoint directory per run",
                remedy="give another --checkpoint-dir",
            )
        self._directory.key = self._directory.key or uuid.uuid4().hex
        if self._saved is None:
            self._directory.remove_after(0)
            if before is not None or self._settings.resume != "retry":
                _note("there is no checkpoint to continue from: training starts at the beginning")
        else:
            self._directory.remove_after(self._saved)  # damaged, or they would have been used
            self._history.resumed_at.append(self._saved)
            self._history.differences += [f"{name}: {v}" for name, v in differs.items()]
            of = f"{self._saved:,} of {self._history.num_train_steps:,} steps"
            if before is not None and before["finished"]:
                _note(f"training had already finished ({of}): nothing to train")
            elif differs:
                _note(f"continues after {of}; not bit-identical: {few(differs)}")
            else:
                _note(f"continues after {of}")
        self._mark(finished=False)

    @property
    def step(self) -> int:
        """The number of steps in the newest checkpoint; 0 if there is none."""
        return self._saved or 0

    def follow(self, step: int) -> None:
        """Continue from the chief's checkpoint, on a worker that is not the chief.

        Args:
            step: The step of the checkpoint that the chief continues from; 0 if there is none.

        Raises:
            InputError: If this worker cannot read it.
        """
        try:
            if step:
                self._read(step)
        except (*_DAMAGED, OSError) as error:
            raise InputError(
                f"this worker cannot read the checkpoint of step {step:,}, from which the chief"
                f" continues: {_reason(error)}",
                where=self._directory.name,
                expected="a checkpoint directory that all workers can read",
                remedy="give a mounted volume or a URI as --checkpoint-dir",
            ) from None

    def due(self, updates_done: int) -> bool:
        """Return True if the next checkpoint is due."""
        if self._settings.every_steps is not None:
            return updates_done % self._settings.every_steps == 0
        return time.monotonic() - self._last >= 60 * self._settings.every_minutes

    def save(self) -> None:
        """Write a checkpoint; if that fails, report it and keep the previous one."""
        step = self._history.updates_done
        if step in (0, self._saved):
            return
        self._last = time.monotonic()
        self._times.assign(self._history.times)
        self._history_text.assign(self._history.dump())
        try:
            self._directory.save(step, self._checkpoint.write)
            self._saved = step
            self._directory.prune(self._settings.keep)
        except Exception as error:  # e.g. a full disk; no reason to end training
            if self._saved == step:
                _note(f"older checkpoints could not be removed: {_reason(error)}")
                return
            last = f"step {self._saved:,}" if self._saved else "none"
            _note(
                f"the checkpoint of step {step:,} could not be written (last checkpoint: {last}):"
                f" {_reason(error)}"
            )

    def finish(self) -> None:
        """Mark the training as finished."""
        self._mark(finished=True)

    def _before(self) -> dict[str, Any] | None:
        """The record of the run that the directory belongs to; None if it belongs to no run."""
        try:
            found = self._directory.read(RUN)
            if not found:
                return None
            parts = {name: found[name] for name in ("owner", "facts", "finished")}
            before = {**parts, "key": found.get("key"), "format": found.get("format", 1)}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{RUN} is damaged: {error}",
                where=self._directory.name,
                expected="the file that finetune wrote beside its checkpoints",
                remedy="give another --checkpoint-dir",
            ) from None
        if before["format"] != FORMAT:
            version = before["facts"].get("environment.kfp-finetune", "another version")
            raise InputError(
                f"the checkpoints were written by kfp-finetune {version}, and this version cannot"
                " continue from their format",
                where=self._directory.name,
                expected=f"checkpoints in format {FORMAT}, not {before['format']}",
                remedy="continue with the version that wrote them, or start over with kfp-finetune"
                " rerun and another checkpoint directory",
            )
        return before

    def _mark(self, *, finished: bool) -> None:
        facts = {
            "format": FORMAT,
            "owner": self._settings.owner,
            "key": self._directory.key,
            "finished": finished,
            "facts": self._facts,
        }
        self._directory.write(RUN, facts)

    def _restore(self, steps: list[int]) -> None:
        """Read the newest checkpoint that is complete."""
        for step in reversed(steps):
            try:
                self._read(step)
                return
            except _DAMAGED as error:
                _note(f"skipped the damaged checkpoint of step {step:,}: {_reason(error)}")

    def _read(self, step: int) -> None:
        with self._directory.opened(step) as path:
            _verify(path)
            try:
                self._checkpoint.read(path).assert_consumed()
                self._history.load(self._history_text.numpy().decode(), self._times.numpy())
            except (
                AssertionError,
                KeyError,
                TypeError,
                ValueError,
                tf.errors.InvalidArgumentError,
            ) as error:
                raise InputError(
                    f"the checkpoint of step {step:,} does not fit this training: {_reason(error)}",
                    where=self._directory.name,
                    expected="a checkpoint that this version of kfp-finetune wrote",
                    remedy="give another --checkpoint-dir",
                ) from None
        self._saved = step


@contextlib.contextmanager
def open_checkpoints(
    settings: Checkpointing,
    trainer: Trainer,
    history: History,
    best: BestWeights | None,
    finite: BestWeights | None,
    facts: Mapping[str, Any],
) -> Iterator[Checkpoints | NoCheckpoints]:
    """Lock the checkpoint directory while a run trains, and continue from its checkpoints.

    If the process gets a signal to end, it saves a checkpoint first. If there are several workers,
    only the chief locks and writes the directory; the others read the checkpoint that the chief
    read.

    Args:
        settings: Where and when to save.
        trainer: The compiled model.
        history: The history of the run.
        best: The weights of the best evaluation, if they are kept.
        finite: The weights of the last evaluation with a finite loss, if they are kept.
        facts: Everything that determines the result.

    Raises:
        InputError: If the directory cannot be used, or belongs to another run.
        Terminated: If the process gets a signal to end.
    """
    if settings.directory is None:
        if settings.every_steps or settings.resume != "retry":
            _note("training is neither saved nor resumed: checkpoint_dir is not given")
        yield NoCheckpoints()
        return
    directory = CheckpointDirectory(settings.directory, _note)
    strategy = trainer.distribute_strategy
    chief = distribution.is_chief(strategy)
    with directory.lock() if chief else contextlib.nullcontext(), termination_deferred():
        checkpoints = Checkpoints(directory, trainer, history, best, finite, facts, settings)
        if chief:
            checkpoints.begin()
        step = distribution.of_chief(strategy, checkpoints.step)
        if not chief:
            checkpoints.follow(step)
            yield NoCheckpoints()
            return
        try:
            yield checkpoints
        except Terminated:
            checkpoints.save()
            raise Terminated(
                f"terminated after step {history.updates_done:,}; the last checkpoint is that of"
                f" step {checkpoints.step:,} in {directory.name}"
            ) from None


class NoCheckpoints:
    """The checkpoints of a run that is not saved."""

    def due(self, updates_done: int) -> bool:
        """Return False: no checkpoint is ever due."""
        return False

    def save(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


def _verify(path: str) -> None:
    """Read every tensor, which compares its checksum, before any variable is changed.

    Raises:
        tf.errors.OpError: If a tensor is damaged.
    """
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)


def _reason(error: Exception) -> str:
    text = without_secrets(str(error)).strip() or type(error).__name__
    if "No space left" in text:  # it follows a path, which may be long
        return "the disk is full (no space left on device)"
    return text.splitlines()[0][:200]


def _note(text: str) -> None:
    emit("note", "finetune", text=text)
