"""A column of lists in a split, to be gathered into batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


class ListColumn:
    """A column of lists of int32 in a memory-mapped file."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._values = [chunk.values.to_numpy() for chunk in column.chunks]
        offsets = [chunk.offsets.to_numpy().astype(np.int64) for chunk in column.chunks]
        parts = [np.full(len(o) - 1, part, np.int32) for part, o in enumerate(offsets)]
        self._part = np.concatenate([np.zeros(0, np.int32), *parts])
        self._start = np.concatenate([np.zeros(0, np.int64), *(o[:-1] for o in offsets)])
        self.lengths = np.concatenate([np.zeros(0, np.int64), *(np.diff(o) for o in offsets)])

    def padded(self, indices: NDArray[np.int64], width: int, pad: int) -> NDArray[np.int32]:
        """Lists padded to a width: int32, shape [len(indices), width]."""
        rows = np.full([len(indices), width], pad, np.int32)
        for row, index in zip(rows, indices, strict=True):
            start, length = self._start[index], self.lengths[index]
            row[:length] = self._values[self._part[index]][start : start + length]
        return rows
