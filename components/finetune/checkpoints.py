"""Checkpoints: everything that a killed run needs to go on as if it had not been killed.

A checkpoint is written between two updates and holds the weights, the optimizer's slots and
iterations, the generators that dropout draws from, the number of updates made (which is the
position in the data: the order of the rows is a function of the seed and the update), and the
history. What a reader of the curves, the early stopping or the best model needs follows from these.
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
from kfp_finetune.components.uris import without_secrets

RUN = "run.json"
# What a checkpoint holds, and under which names. The first, which was not numbered, held what
# tf-keras and Transformers 4 kept: other variables, and another state of dropout.
FORMAT = 2
# What a damaged checkpoint is found by; TensorFlow tells a wrong checksum by no class of its own.
# Anything else (a volume that is away) ends the step: the checkpoint may be whole.
_DAMAGED = (ValueError, tf.errors.OpError)


def state(trainer: Trainer, best: BestWeights | None) -> dict[str, Any]:
    """What a checkpoint holds besides the history, in lists of variables.

    TensorFlow would find neither the optimizer's nor the dropout's by itself: Keras keeps them
    where it does not look.
    """
    network = trainer.network
    return {
        "network": [variable.value for variable in network.weights],
        "optimizer": [variable.value for variable in trainer.optimizer.variables],
        "dropout": [network.dropout_seeds.state.value],
        "updates_done": trainer.updates_done,
        "update_log": trainer.update_log,
        "best": best.variables if best else [],
    }


class Checkpoints:
    """The checkpoints of one run.

    Args:
        directory: Where they lie, locked.
        trainer: Compiled.
        history: The run's.
        best: The weights of the best evaluation, where they are kept.
        facts: What determines the result, as `run_facts.facts_of` says it.
        settings: How often, how many, whose.
    """

    def __init__(
        self,
        directory: CheckpointDirectory,
        trainer: Trainer,
        history: History,
        best: BestWeights | None,
        facts: Mapping[str, Any],
        settings: Checkpointing,
    ) -> None:
        self._directory = directory
        self._history = history
        self._facts = dict(facts)
        self._settings = settings
        self._times = tf.Variable(history.times, trainable=False)
        self._said = tf.Variable("", trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            times=self._times, history=self._said, **state(trainer, best)
        )
        self._saved: int | None = None
        self._last = time.monotonic()

    def begin(self) -> None:
        """Go on where the run was, if it is to be gone on with; else start a new one.

        Raises:
            InputError: If there are others.
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
                f"there are checkpoints, and nothing that says of what run: {RUN} is missing",
                where=self._directory.name,
                expected="a directory of this run's own",
                remedy="give another --checkpoint-dir",
            )
        self._directory.key = self._directory.key or uuid.uuid4().hex
        if self._saved is None:
            self._directory.remove_after(0)
            if before is not None or self._settings.resume != "retry":
                _say("there is no checkpoint to go on from: training starts at the beginning")
        else:
            self._directory.remove_after(self._saved)  # damaged, or they would have been used
            self._history.resumed_at.append(self._saved)
            self._history.differences += [f"{name}: {v}" for name, v in differs.items()]
            of = f"{self._saved:,} of {self._history.num_train_steps:,} steps"
            if before is not None and before["finished"]:
                _say(f"training had finished: nothing is trained again ({of} are made)")
            elif differs:
                _say(f"goes on after {of}; not bit-identical, as there differs {few(differs)}")
            else:
                _say(f"goes on after {of}")
        self._mark(finished=False)

    @property
    def step(self) -> int:
        """The updates made when it was last saved; 0 if it was not."""
        return self._saved or 0

    def follow(self, step: int) -> None:
        """Go on where the chief does, on a worker that is not the chief.

        Args:
            step: Of the checkpoint that the chief goes on from; 0 if there is none.

        Raises:
            InputError: If this worker cannot read it.
        """
        try:
            if step:
                self._read(step)
        except (*_DAMAGED, OSError) as error:
            raise InputError(
                f"the chief goes on after step {step:,}, whose checkpoint this worker cannot read:"
                f" {_reason(error)}",
                where=self._directory.name,
                expected="a checkpoint directory that all workers can read",
                remedy="give a mounted volume or a URI as --checkpoint-dir",
            ) from None

    def due(self, updates_done: int) -> bool:
        """Whether it is time for the next."""
        if self._settings.every_steps is not None:
            return updates_done % self._settings.every_steps == 0
        return time.monotonic() - self._last >= 60 * self._settings.every_minutes

    def save(self) -> None:
        """Write a checkpoint; if that fails, say so and leave the one before."""
        step = self._history.updates_done
        if step in (0, self._saved):
            return
        self._last = time.monotonic()
        self._times.assign(self._history.times)
        self._said.assign(self._history.dump())
        try:
            self._directory.save(step, self._checkpoint.write)
            self._saved = step
            self._directory.prune(self._settings.keep)
        except Exception as error:  # a full disk, a store that is away: no reason to end training
            if self._saved == step:
                _say(f"older checkpoints could not be removed: {_reason(error)}")
                return
            last = f"that of step {self._saved:,} is whole" if self._saved else "there is none yet"
            _say(f"the checkpoint of step {step:,} could not be written ({last}): {_reason(error)}")

    def finish(self) -> None:
        """Mark the training as finished."""
        self._mark(finished=True)

    def _before(self) -> dict[str, Any] | None:
        """What the directory says of the run whose it is; None if it is nobody's."""
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
                expected="what finetune wrote beside its checkpoints",
                remedy="give another --checkpoint-dir",
            ) from None
        if before["format"] != FORMAT:
            version = before["facts"].get("environment.kfp-finetune", "another version")
            raise InputError(
                f"the checkpoints were written by kfp-finetune {version}, and this version keeps"
                " the state of a training otherwise: it cannot continue from them",
                where=self._directory.name,
                expected=f"checkpoints in format {FORMAT}, not {before['format']}",
                remedy="continue with the version that wrote them, or start the training anew with"
                " kfp-finetune rerun and a checkpoint directory of its own",
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
        """Read the newest checkpoint that is whole."""
        for step in reversed(steps):
            try:
                self._read(step)
                return
            except _DAMAGED as error:
                _say(f"the checkpoint of step {step:,} is damaged and not used: {_reason(error)}")

    def _read(self, step: int) -> None:
        with self._directory.opened(step) as path:
            _verify(path)
            try:
                self._checkpoint.read(path).assert_consumed()
                self._history.load(self._said.numpy().decode(), self._times.numpy())
            except (
                AssertionError,
                KeyError,
                TypeError,
                ValueError,
                tf.errors.InvalidArgumentError,
            ) as error:
                raise InputError(
                    f"the checkpoint of step {step:,} is whole, and does not fit this training:"
                    f" {_reason(error)}",
                    where=self._directory.name,
                    expected="a checkpoint that this version of kfp-finetune wrote",
                    remedy="give another --checkpoint-dir",
                ) from None
        self._saved = step


@contextlib.contextmanager
def open_checkpoints(
    settings: Checkpointing | None,
    trainer: Trainer,
    history: History,
    best: BestWeights | None,
    facts: Mapping[str, Any],
) -> Iterator[Checkpoints | NoCheckpoints]:
    """Hold the checkpoint directory while a run trains, and go on where it was.

    Where the process is told to end, it saves first. Of several workers only the chief holds the
    directory and writes to it; the others read what the chief has read.

    Args:
        settings: Where, if anywhere.
        trainer: Compiled.
        history: The run's.
        best: The weights of the best evaluation, where they are kept.
        facts: What determines the result.

    Raises:
        InputError: If the directory cannot be used, or is another run's.
        Terminated: If the process was told to end.
    """
    if settings is None or settings.directory is None:
        if settings is not None and (settings.every_steps or settings.resume != "retry"):
            _say("training is neither saved nor resumed: there is no checkpoint_dir")
        yield NoCheckpoints()
        return
    directory = CheckpointDirectory(settings.directory, _say)
    strategy = trainer.distribute_strategy
    chief = distribution.is_chief(strategy)
    with directory.lock() if chief else contextlib.nullcontext(), termination_deferred():
        checkpoints = Checkpoints(directory, trainer, history, best, facts, settings)
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
                f"told to end after step {history.updates_done:,}; saved up to step"
                f" {checkpoints.step:,} in {directory.name}"
            ) from None


class NoCheckpoints:
    """Stands where a run is not saved."""

    def due(self, updates_done: int) -> bool:
        """Never."""
        return False

    def save(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


def _verify(path: str) -> None:
    """Read every tensor, whose checksums are compared by that, before any variable is changed.

    Raises:
        tf.errors.OpError: If one is damaged.
    """
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)


def _reason(error: Exception) -> str:
    text = without_secrets(str(error)).strip() or type(error).__name__
    if "No space left" in text:  # behind a path, which may be long
        return "the disk is full (no space left on device)"
    return text.splitlines()[0][:200]


def _say(text: str) -> None:
    emit("note", "finetune", text=text)
