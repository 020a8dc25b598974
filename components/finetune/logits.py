"""The logits of a model for every row of a split, in the order of the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kfp_finetune.components.finetune.forward import Forward
from kfp_finetune.components.finetune.inputs import Rows, evaluation_dataset
from kfp_finetune.components.tasks.scores.pieces import new_logits, release

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kfp_finetune.components.models.classifier import Classifier

BATCH_SIZE = 64


def predict(
    model: Classifier,
    rows: Rows,
    progress: Callable[[int], None],
    batch_size: int = BATCH_SIZE,
    precision: str = "float32",
) -> NDArray[np.float32]:
    """Compute the logits of all rows, without dropout.

    Args:
        model: The model.
        rows: The rows of a split.
        progress: Called after every batch with the number of rows done.
        batch_size: Rows per batch; more if they are short.
        precision: See `Forward`.

    Returns:
        Logits, shape [rows, outputs], or [words, outputs] where words have labels, in the order of
        the split; a large array is a file mapped into memory.
    """
    dataset, order = evaluation_dataset(rows, batch_size)
    logits = new_logits(len(rows.labels), model.num_labels)
    forward = Forward(model, precision)
    longest = int(rows.lengths.max(initial=0))
    forward.choose(len(order), lambda part: rows.batch(order[part], longest))
    done = 0
    for features in dataset:
        batch = forward(features)
        places, outputs = rows.gather(batch, order[done : done + len(batch)])
        logits[places] = outputs
        done += len(batch)
        release(logits)
        progress(done)
    return logits
