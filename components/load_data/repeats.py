"""Find rows that have the same text, belong to the same group, or repeat a text of another split.

Texts and groups are compared by their hashes, a piece of the rows at a time, so that sorting and
copying take the same memory for a million rows as for a hundred million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_PER_PIECE = 2**18


@dataclass(frozen=True)
class Repeats:
    """Repeated texts among the rows of one source.

    Attributes:
        copies: Rows with the same text and label as an earlier row.
        contradictions: Rows with the same text as an earlier row but another label.
    """

    copies: NDArray[np.int64]
    contradictions: NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Rows in the order of their groups.

    Attributes:
        rows: Row numbers, those of one group next to each other and ascending, uint32, shape
            [rows].
        first: True for the first row of each group, shape [rows].
    """

    rows: NDArray[np.uint32]
    first: NDArray[np.bool_]

    @property
    def leaders(self) -> NDArray[np.uint32]:
        """The first row of every group, shape [groups]."""
        return self.rows[self.first]

    def spread(self, of_group: NDArray[np.int8], of_row: NDArray[np.int8]) -> None:
        """Copy the value of each group to its rows.

        Args:
            of_group: A value per group, in the order of `leaders`, shape [groups].
            of_row: The array to write to, by row number.
        """
        group = -1
        for piece in pieces(len(self.rows)):
            groups = group + np.cumsum(self.first[piece])
            of_row[self.rows[piece]] = of_group[groups]
            group = groups[-1]


def pieces(rows: int) -> Iterator[slice]:
    """Slices of a quarter of a million rows each."""
    for start in range(0, rows, ROWS_PER_PIECE):
        yield slice(start, min(start + ROWS_PER_PIECE, rows))


def find_repeats(
    texts: NDArray[np.uint64], labels: NDArray[np.int32], usable: NDArray[np.bool_]
) -> Repeats:
    """Find texts that occur more than once.

    Args:
        texts: A hash of every row's text, shape [rows].
        labels: A number for every row's label, shape [rows].
        usable: The rows to include, shape [rows].
    """
    copies, contradictions = np.zeros(len(texts), bool), np.zeros(len(texts), bool)
    for rows in _by_hash(texts, usable):
        again = ~_is_first(texts[rows])
        # The first row of each run of equal texts.
        starts = np.maximum.accumulate(np.where(again, 0, np.arange(len(rows))))
        same_label = labels[rows] == labels[rows[starts]]
        copies[rows[again & same_label]] = True
        contradictions[rows[again & ~same_label]] = True
    return Repeats(np.flatnonzero(copies), np.flatnonzero(contradictions))


def find_groups(hashes: NDArray[np.uint64], usable: NDArray[np.bool_]) -> Groups:
    """Find the rows that belong to the same group.

    Args:
        hashes: A hash of every row's group, shape [rows].
        usable: The rows to include, shape [rows].
    """
    # 4 bytes per row number are enough for 4 billion rows.
    rows = np.empty(np.count_nonzero(usable), np.uint32)
    first = np.empty(len(rows), bool)
    done = 0
    for found in _by_hash(hashes, usable):
        rows[done : done + len(found)] = found
        first[done : done + len(found)] = _is_first(hashes[found])
        done += len(found)
    return Groups(rows, first)


def find_overlap(
    texts: NDArray[np.uint64], usable: NDArray[np.bool_], others: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """The usable rows whose text also occurs among the other texts, ascending.

    Args:
        texts: A hash of every row's text, shape [rows].
        usable: The rows to include, shape [rows].
        others: Hashes of the other texts; sorted in place.
    """
    found = [np.zeros(0, np.int64)]
    others.sort()
    for piece in pieces(len(texts) if len(others) else 0):
        rows = piece.start + np.flatnonzero(usable[piece])
        nearest = np.searchsorted(others, texts[rows])
        nearest[nearest == len(others)] = 0
        found.append(rows[others[nearest] == texts[rows]])
    return np.concatenate(found)


def _by_hash(hashes: NDArray[np.uint64], usable: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """The usable rows in the order of their hashes, equal ones ascending and in the same piece.

    Hashes are spread evenly, so equal parts of their range have about the same number of rows.
    """
    parts = len(hashes) // ROWS_PER_PIECE + 1
    bounds = [part * 2**64 // parts for part in range(parts + 1)]
    for low, next_low in pairwise(bounds):
        inside = hashes >= np.uint64(low)
        inside &= hashes <= np.uint64(next_low - 1)
        inside &= usable
        rows = np.flatnonzero(inside)
        yield rows[np.argsort(hashes[rows], kind="stable")]


def _is_first(ordered: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """A mask of the hashes that differ from the one before, shape [rows]."""
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return first
