"""Process logits in pieces: a split of many examples and labels does not fit into memory twice."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator

import numpy as np

_CELLS = 4_000_000  # 32 MB in float64
_IN_MEMORY = 250_000_000  # cells: 1 GB in float32


def new_logits(rows: int, outputs: int) -> np.ndarray:
    """An array for logits, float32: in memory, or if it is large in a temporary file.

    Args:
        rows: Number of examples, or words.
        outputs: Logits of each.

    Raises:
        OSError: If there is no space for the file.
    """
    if rows * outputs <= _IN_MEMORY:
        return np.zeros((rows, outputs), np.float32)
    with tempfile.TemporaryFile(prefix="kfp-finetune-") as file:
        os.posix_fallocate(file.fileno(), 0, 4 * rows * outputs)  # a full disk fails here
        return np.memmap(file, np.float32, "r+", shape=(rows, outputs))


def release(logits: np.ndarray) -> None:
    """Release the memory used by reading or writing an array in a file."""
    mapped = getattr(logits, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def pieces(logits: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of logits in pieces.

    Yields:
        The slice of rows, and their logits in float64.
    """
    size = max(1, _CELLS // max(1, logits.shape[1]))
    for start in range(0, len(logits), size):
        rows = slice(start, min(start + size, len(logits)))
        yield rows, np.asarray(logits[rows], np.float64)
        release(logits)


def log_likelihoods(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The logarithm of the softmax probability of one label for every row.

    Args:
        logits: Shape [rows, labels].
        labels: Ids, shape [rows].
        temperature: Logits are divided by it.
    """
    found = np.empty(len(labels))
    for rows, piece in pieces(logits):
        shifted = piece / temperature
        shifted -= shifted.max(axis=1, keepdims=True)
        own = shifted[np.arange(len(piece)), labels[rows]]
        found[rows] = own - np.log(np.exp(shifted).sum(axis=1))
    return found


def most_likely(logits: np.ndarray) -> np.ndarray:
    """The label with the largest logit of every row, the first of equal ones, shape [rows]."""
    found = np.empty(len(logits), np.int64)
    for rows, piece in pieces(logits):
        found[rows] = piece.argmax(axis=1)
    return found
