"""A model's logits for every row, in the rows' own order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.finetune.inputs import Rows, evaluation_dataset
from kfp_finetune.components.models.forward import forward
from kfp_finetune.components.tasks.scores.pieces import new_logits, release

if TYPE_CHECKING:
    import numpy as np
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
        network: A classifier.
        rows: Of a split.
        progress: Called after every batch with the rows done so far.
        batch_size: Rows at a time.

    Returns:
        Logits, shape [rows, outputs], or of words [words, outputs], in the split's own order;
        very many lie in a file that is mapped into memory.
    """
    dataset, order = evaluation_dataset(rows, batch_size)
    logits = new_logits(len(rows.labels), network.num_labels)
    logits_of = forward(network)
    done = 0
    for features in dataset:
        batch = logits_of(features).numpy()
        places, outputs = rows.gather(batch, order[done : done + len(batch)])
        logits[places] = outputs
        done += len(batch)
        release(logits)
        progress(done)
    return logits
