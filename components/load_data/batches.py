"""The rows of every step: a pure function of the plan, the seed and the epoch.

Rows of similar length share a batch, so that there is little padding, and the order stays random:
an epoch's rows are shuffled, divided into windows of many batches and sorted by length within each
window; then the batches are shuffled.
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
        lengths: Number of tokens of every training row, shape [num_train_examples].
        plan: The plan of steps; `batches_per_epoch` batches are returned.
        seed: The run's seed.
        epoch: Counted from 0.

    Returns:
        Row indices, one array per batch. Every row is in exactly one batch, except for rows that
        `drop_remainder` drops. Only the last batch may be smaller than `batch_size`.
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


def step_batches(
    lengths: NDArray[np.int64], plan: StepPlan, seed: int, start: int = 0
) -> Iterator[list[NDArray[np.int64]]]:
    """The batches of every step of the run, starting with step `start`.

    Yields:
        The batches of one step, `num_train_steps - start` times. There are
        `gradient_accumulation_steps` of them, or fewer at the end of an epoch.
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
