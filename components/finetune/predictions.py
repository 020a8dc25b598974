"""A model's logits for every row, in the rows' own order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.finetune import models
from kfp_finetune.components.finetune.inputs import Rows, evaluation_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_SIZE = 64


def predict(
    network: Any,
    rows: Rows,
    progress: Callable[[int], None],
    batch_size: int = BATCH_SIZE,
) -> NDArray[np.float32]:
    """Run a model over rows, without dropout.

    Args:
        network: A model from `models.load_classifier`.
        rows: Of a split.
        progress: Called after every batch with the rows done so far.
        batch_size: Rows at a time.

    Returns:
        Logits, shape [rows, outputs], or of words [words, outputs], in the split's own order.
    """
    dataset, order = evaluation_dataset(rows, batch_size)
    logits = np.zeros((len(rows.labels), network.config.num_labels), np.float32)
    forward = models.forward(network)
    done = 0
    for features in dataset:
        batch = forward(features).numpy()
        places, outputs = rows.gather(batch, order[done : done + len(batch)])
        logits[places] = outputs
        done += len(batch)
        progress(done)
    return logits
