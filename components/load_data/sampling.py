"""The steps whose values are kept: all, or in a very long run every second, third, tenth ...

This bounds the size of event files, the training log, the learning-rate curve and the tables in
memory.
"""

from __future__ import annotations

MOST_STEPS_KEPT = 100_000


def stride(num_train_steps: int) -> int:
    """The distance between kept steps: 1 for runs of up to `MOST_STEPS_KEPT` steps."""
    return max(1, -(-num_train_steps // MOST_STEPS_KEPT))


def kept_steps(num_train_steps: int) -> range:
    """The kept steps, counted from 0: the first, and every `stride`-th after it."""
    return range(0, num_train_steps, stride(num_train_steps))
