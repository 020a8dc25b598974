"""Count the optimizer steps of a run from the data.

The learning-rate schedule has exactly this length, and training fails if it ends anywhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kfp_finetune.components.chosen import choose_num_train_epochs, num_train_epochs_note
from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import emit

# Longer trainings would never end: a billion steps take eleven days at a thousand per second.
MOST_STEPS = 10**9
# Every epoch ends with an evaluation, whose results (about 1 KB) are kept in memory.
MOST_EPOCHS = 10**6


@dataclass(frozen=True)
class StepPlan:
    """The steps of a run.

    A batch is `batch_size` examples over all devices; a step is made from
    `gradient_accumulation_steps` batches, the last step of an epoch from what is left.

    Attributes:
        num_train_examples: Examples in the training split.
        batch_size: Examples per batch.
        gradient_accumulation_steps: Batches per step.
        drop_remainder: Whether the last, smaller batch of an epoch is left out.
        batches_per_epoch: Batches in one pass over the training split.
        last_batch_size: Examples in the last batch of an epoch.
        steps_per_epoch: Steps in one pass over the training split.
        num_train_epochs: Passes over the training split; fractional where `max_steps` ruled.
        num_train_steps: Steps in the whole run, which is the length of the schedule.
    """

    num_train_examples: int
    batch_size: int
    gradient_accumulation_steps: int
    drop_remainder: bool
    batches_per_epoch: int
    last_batch_size: int
    steps_per_epoch: int
    num_train_epochs: float
    num_train_steps: int

    def __str__(self) -> str:
        """The plan in one line: `10,003 examples ÷ 32 = 313 steps × 3 epochs = 939 steps`."""
        by = f"{self.batch_size}"
        if self.gradient_accumulation_steps > 1:
            by = f"({by} × {self.gradient_accumulation_steps})"
        last = "dropped" if self._drops_a_batch() else self.last_batch_size
        return (
            f"{counted(self.num_train_examples, 'example')} ÷ {by}"
            f" = {counted(self.steps_per_epoch, 'step')}"
            f" × {counted(float(self.num_train_epochs), 'epoch')}"
            f" = {counted(self.num_train_steps, 'step')}"
            f" (last batch {last})"
        )

    def _drops_a_batch(self) -> bool:
        return self.drop_remainder and self.num_train_examples % self.batch_size != 0


def check_step_parameters(
    batch_size: int,
    num_train_epochs: float | None,
    max_steps: int | None = None,
    gradient_accumulation_steps: int = 1,
) -> None:
    """Check what can be checked before the data is read.

    Raises:
        InputError: With all that are given and not positive (`num_train_epochs` also: not finite),
            or are beyond `MOST_STEPS` and `MOST_EPOCHS`.
    """
    problems = [
        InputError(
            f"{name} is {value}",
            where=name,
            expected="a whole number of at least 1",
            remedy=remedy,
        )
        for name, value, remedy in (
            ("batch_size", batch_size, "--batch-size 32"),
            (
                "gradient_accumulation_steps",
                gradient_accumulation_steps,
                "--gradient-accumulation-steps 1",
            ),
            ("max_steps", max_steps, "omit --max-steps to train num_train_epochs epochs"),
        )
        if value is not None and value < 1
    ]
    if max_steps is not None or num_train_epochs is None:
        pass
    elif not (num_train_epochs > 0 and math.isfinite(num_train_epochs)):
        problems.append(
            InputError(
                f"num_train_epochs is {num_train_epochs:g}",
                where="num_train_epochs",
                expected="a number above 0; a fraction of an epoch is allowed",
                remedy="--num-train-epochs 3",
            )
        )
    elif num_train_epochs > MOST_EPOCHS:
        problems.append(_too_many_epochs(num_train_epochs))
    if max_steps is not None and max_steps > MOST_STEPS:
        problems.append(_too_many_steps(max_steps, "max_steps", f"--max-steps {MOST_STEPS}"))
    if problems:
        raise InputError.of_all(problems)


def _too_many_epochs(epochs: float) -> InputError:
    return InputError(
        f"training would take {epochs:,.10g} epochs",
        where="num_train_epochs, max_steps",
        expected=f"at most {MOST_EPOCHS:,}: each ends with an evaluation, which is kept in memory",
        remedy="a smaller --num-train-epochs or --max-steps",
    )


def _too_many_steps(steps: int, where: str, remedy: str) -> InputError:
    return InputError(
        f"training would take {steps:,} steps",
        where=where,
        expected=f"at most {MOST_STEPS:,}, which is eleven days at a thousand a second",
        remedy=remedy,
    )


def count_steps(
    num_train_examples: int,
    batch_size: int = 32,
    num_train_epochs: float | None = None,
    max_steps: int | None = None,
    gradient_accumulation_steps: int = 1,
    drop_remainder: bool = False,
    num_labels: int = 0,
) -> StepPlan:
    """Count the optimizer steps of a run.

    Steps per epoch = ceil(batches / gradient_accumulation_steps); steps of the run =
    ceil(epochs × steps per epoch), or `max_steps`, which takes precedence.

    Args:
        num_train_examples: Examples in the training split, after everything that drops any.
        batch_size: Examples per batch over all devices.
        num_train_epochs: Passes over the training split; may be fractional. None: chosen from the
            numbers of examples and labels.
        max_steps: Steps to make, whatever the number of epochs.
        gradient_accumulation_steps: Batches per step.
        drop_remainder: Leave out the last batch of an epoch where it is smaller.
        num_labels: Number of labels; 0 for regression, or if unknown.

    Raises:
        InputError: If a number is not positive, `drop_remainder` leaves no batch, or the steps or
            epochs are too many.
    """
    check_step_parameters(batch_size, num_train_epochs, max_steps, gradient_accumulation_steps)
    whole, rest = divmod(num_train_examples, batch_size)
    batches = whole + (1 if rest and not drop_remainder else 0)
    if batches == 0:
        raise InputError(
            f"{num_train_examples} training examples make no batch of {batch_size}",
            where="batch_size, drop_remainder",
            expected="at least one batch per epoch",
            remedy="a smaller --batch-size, or omit --drop-remainder",
        )
    steps_per_epoch = math.ceil(batches / gradient_accumulation_steps)
    if max_steps is None:
        if num_train_epochs is None:
            num_train_epochs = choose_num_train_epochs(num_train_examples, num_labels)
        # Rounded first: 0.1 × 30 is 3.0000000000000004, which is not a fourth step.
        steps = max(1, math.ceil(round(num_train_epochs * steps_per_epoch, 9)))
        epochs = num_train_epochs
    else:
        steps, epochs = max_steps, max_steps / steps_per_epoch
    if steps > MOST_STEPS:
        raise _too_many_steps(steps, "num_train_epochs", "a smaller --num-train-epochs")
    if epochs > MOST_EPOCHS:
        raise _too_many_epochs(epochs)
    return StepPlan(
        num_train_examples=num_train_examples,
        batch_size=batch_size,
        gradient_accumulation_steps=gradient_accumulation_steps,
        drop_remainder=drop_remainder,
        batches_per_epoch=batches,
        last_batch_size=rest if rest and not drop_remainder else batch_size,
        steps_per_epoch=steps_per_epoch,
        num_train_epochs=epochs,
        num_train_steps=steps,
    )


def plan_steps(num_labels: int = 0, **parameters: Any) -> StepPlan:
    """Count the steps, and print the plan.

    Args:
        num_labels: Number of labels; 0 for regression, or if unknown.
        **parameters: As `count_steps` takes them.

    Raises:
        InputError: As `count_steps`.
    """
    plan = count_steps(num_labels=num_labels, **parameters)
    if parameters.keys().isdisjoint(("num_train_epochs", "max_steps")):
        note = num_train_epochs_note(plan.num_train_examples, num_labels, plan.num_train_epochs)
        emit("note", "count_steps", text=note)
    emit("note", "count_steps", text=str(plan))
    return plan
