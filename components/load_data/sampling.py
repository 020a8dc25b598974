"""Which steps are kept of a run: all of them, of a very long one every second, third, tenth ...

Event files, the training log, the learning-rate curve and the tables that training holds grow with
the steps only up to here.
"""

from __future__ import annotations

MOST_STEPS_KEPT = 100_000


def stride(num_train_steps: int) -> int:
    """Steps from one that is kept to the next: 1 up to `MOST_STEPS_KEPT` steps."""
    return max(1, -(-num_train_steps // MOST_STEPS_KEPT))


def kept_steps(num_train_steps: int) -> range:
    """The steps that are kept, counted from 0: the first, and every `stride`-th after it."""
    return range(0, num_train_steps, stride(num_train_steps))
