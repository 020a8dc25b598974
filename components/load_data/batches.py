"""Which rows make which update: a pure function of the plan, the seed and the epoch.

Rows of like length are put together, so that little of a batch is padding, without giving up
randomness: an epoch's rows are shuffled, cut into windows of many batches, sorted by length within
a window, and the batches are shuffled again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kfp_finetune.components.load_data.steps import StepPlan

BATCHES_PER_WINDOW = 64


def epoch_batches(
    lengths: NDArray[np.int64], plan: StepPlan, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """The batches of one epoch, in the order they are fed.

    Args:
        lengths: Tokens of every training row, shape [num_train_examples].
        plan: The counted plan; the number of batches returned is its `batches_per_epoch`.
        seed: Of the run.
        epoch: Counted from 0.

    Returns:
        Row indices, one array per batch. Every row is in exactly one batch, but for the rows that
        `drop_remainder` leaves out. The one batch that may be smaller than `batch_size` comes last.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(plan.num_train_examples)
    size = plan.batch_size
    whole = (len(order) // size) * size
    body, rest = order[:whole], order[whole:]
    window = size * BATCHES_PER_WINDOW
    parts = [body[start : start + window] for start in range(0, whole, window)]
    ordered = [part[np.argsort(lengths[part], kind="stable")] for part in parts]
    batches = [part[at : at + size] for part in ordered for at in range(0, len(part), size)]
    batches = [batches[i] for i in random.permutation(len(batches))]
    if len(rest) and not plan.drop_remainder:
        batches.append(rest)
    return batches


def updates(
    lengths: NDArray[np.int64], plan: StepPlan, seed: int, start: int = 0
) -> Iterator[list[NDArray[np.int64]]]:
    """The batches of every update of the run, from update `start` on.

    Yields:
        For each update its batches: `gradient_accumulation_steps` of them, or what is left of the
        epoch. Exactly `num_train_steps - start` times.
    """
    group = plan.gradient_accumulation_steps
    step = start
    while step < plan.num_train_steps:
        epoch, within = divmod(step, plan.steps_per_epoch)
        batches = epoch_batches(lengths, plan, seed, epoch)
        for first in range(within * group, len(batches), group):
            if step == plan.num_train_steps:
                return
            yield batches[first : first + group]
            step += 1
