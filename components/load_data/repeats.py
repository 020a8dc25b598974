"""Texts that are there more than once: within a split, across splits, and with other labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Repeats:
    """Repeated texts among the rows of one source.

    Attributes:
        copies: Rows whose text and label an earlier row has.
        contradictions: Rows whose text an earlier row has with another label.
    """

    copies: NDArray[np.int64]
    contradictions: NDArray[np.int64]


def find_repeats(
    texts: NDArray[np.uint64], labels: NDArray[np.int32], usable: NDArray[np.int64]
) -> Repeats:
    """Find texts that are there more than once.

    Args:
        texts: A hash of every row's text, shape [rows].
        labels: A number for every row's label, shape [rows].
        usable: The rows to look at, ascending.
    """
    order = usable[np.argsort(texts[usable], kind="stable")]
    same_text = np.zeros(len(order), bool)
    same_text[1:] = texts[order][1:] == texts[order][:-1]
    # The first row of a run of equal texts: the last position at or before with a new text.
    starts = np.maximum.accumulate(np.where(same_text, 0, np.arange(len(order))))
    same_label = labels[order] == labels[order][starts] if len(order) else same_text
    return Repeats(
        copies=np.sort(order[same_text & same_label]),
        contradictions=np.sort(order[same_text & ~same_label]),
    )


def find_overlap(
    texts: NDArray[np.uint64], usable: NDArray[np.int64], others: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """The usable rows whose text is also among the others', ascending."""
    return usable[np.isin(texts[usable], others)]
