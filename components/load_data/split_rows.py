"""The rows of a source with the split of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.load_data.rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT_OUT = -1


@dataclass
class SplitRows:
    """The rows of one source, with the split of each.

    Attributes:
        rows: The rows.
        split: Index into `SPLITS`, or `LEFT_OUT`, int8, shape [rows].
        dropped: Number of dropped rows, by split and reason.
    """

    rows: Rows
    split: NDArray[np.int8]
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)

    def leave_out(self, rows: NDArray[np.integer], reason: str) -> None:
        """Drop rows, and count them for the split they would have gone to."""
        rows = rows[self.split[rows] != LEFT_OUT]
        for number, count in zip(*np.unique(self.split[rows], return_counts=True), strict=True):
            reasons = self.dropped.setdefault(SPLITS[number], {})
            reasons[reason] = reasons.get(reason, 0) + int(count)
        self.split[rows] = LEFT_OUT

    def of(self, split: str) -> NDArray[np.int64]:
        """The rows of a split, ascending."""
        return np.flatnonzero(self.split == SPLITS.index(split))


def source_of(parts: dict[str, SplitRows], split: str) -> SplitRows:
    """The source of a split's rows: its own, or the training data if it was split."""
    return parts[split] if split in parts else next(iter(parts.values()))
