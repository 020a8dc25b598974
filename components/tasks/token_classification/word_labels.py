"""Labels of words for training: a label and a weight for every token of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kfp_finetune.components.tasks.list_column import ListColumn

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


IGNORED = -100  # as PyTorch and Transformers mark tokens that have no label
CONTINUED = -101  # a token that continues a word


class WordLabels:
    """The labels of a split.

    Args:
        column: For every token of every row a label, `IGNORED` or `CONTINUED`.
        label_names: The name of label i is `label_names[i]`.
    """

    def __init__(self, column: pa.ChunkedArray, label_names: Sequence[str]) -> None:
        self._column = ListColumn(column)
        ids = {name: i for i, name in enumerate(label_names)}
        # Only the first piece of a word can begin an entity.
        self._inside = np.array(
            [ids.get(f"I-{n[2:]}", i) if n[:2] == "B-" else i for i, n in enumerate(label_names)],
            np.int32,
        )
        words = [
            np.add.reduceat(np.append(chunk.values.to_numpy() >= 0, False), chunk.offsets[:-1])
            for chunk in column.chunks
            if len(chunk)
        ]
        self._starts = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, int), *words]))])

    def batch(
        self, indices: NDArray[np.int64], width: int, *, all_tokens: bool = False
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The labels of a batch, 0 for tokens without one, and weights of 0 for these tokens.

        Args:
            indices: Row numbers, shape [batch].
            width: Tokens of the longest of them, or more.
            all_tokens: Whether all pieces of a word have its label; if the label begins an entity,
                its other pieces have the I- tag.

        Returns:
            int32 and float32, both of shape [batch, width].
        """
        labels = self._column.padded(indices, width, IGNORED)
        if all_tokens:
            last = np.maximum.accumulate(np.where(labels >= 0, np.arange(width), 0), axis=1)
            of_word = np.maximum(np.take_along_axis(labels, last, axis=1), 0)
            labels = np.where(labels == CONTINUED, self._inside[of_word], labels)
        return np.maximum(labels, 0), (labels >= 0).astype(np.float32)

    def gather(
        self, outputs: NDArray[np.float32], indices: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The numbers of words in the split, and the outputs of their first pieces.

        Args:
            outputs: Shape [batch, width, outputs].
            indices: The batch's row numbers, shape [batch].
        """
        first = self._column.padded(indices, outputs.shape[1], IGNORED) >= 0
        words = [np.arange(self._starts[i], self._starts[i + 1]) for i in indices]
        return np.concatenate(words), outputs[first]
