"""Texts that two splits share."""

from __future__ import annotations

from itertools import combinations

from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS
from kfp_finetune.components.load_data.repeats import find_overlap
from kfp_finetune.components.load_data.rows import in_rows
from kfp_finetune.components.load_data.split_rows import SplitRows, source_of


def count_overlaps(parts: dict[str, SplitRows]) -> tuple[dict[str, int], list[str]]:
    """Count the rows of one split whose text is also in another, for every two splits.

    Args:
        parts: The assigned rows of each source.

    Returns:
        The counts by the names of two splits, such as "train, test": rows of the first one. And a
        warning if the validation and the test split share texts; `assignment` warns of the others.
    """
    counts, warnings = {}, []
    for one, other in combinations(SPLITS, 2):
        part, others = source_of(parts, one), source_of(parts, other)
        in_one, in_other = (p.split == SPLITS.index(s) for p, s in ((part, one), (others, other)))
        if not (in_one.any() and in_other.any()):
            continue
        rows = find_overlap(part.rows.texts, in_one, others.rows.texts[in_other])
        counts[f"{one}, {other}"] = len(rows)
        if len(rows) and one != "train":
            occur = "texts also occur" if len(rows) > 1 else "text also occurs"
            warnings.append(
                f"{len(rows):,} {one} {occur} in the {other} split, which makes the {other} scores"
                f" too good if {one} chooses the model: {in_rows(rows)}"
            )
    return counts, warnings
