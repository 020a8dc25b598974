"""Names of splits and their aliases in files, folders, the Hub, JSON documents and columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from kfp_finetune.components.errors import InputError

TRAIN = "train"
# Longer aliases first: they are alternatives of a pattern.
ALIASES = {
    "train": ("training", "train"),
    "validation": (
        *("validation", "valid", "val"),
        *("development", "devel", "dev", "evaluation", "eval"),
    ),
    "test": ("testing", "test"),
}
ALL_ALIASES = tuple(alias for aliases in ALIASES.values() for alias in aliases)


def canonical_split(name: str) -> str:
    """The common name of a split: "validation" for "dev"; other names are unchanged."""
    last = name.rpartition(".")[2].lower()
    return next((split for split, aliases in ALIASES.items() if last in aliases), name)


def canonical_splits(names: Iterable[str]) -> list[str]:
    """The common names of splits, unless two splits share one; sorted."""
    common = Counter(canonical_split(name) for name in names)
    return sorted(
        name if common[canonical_split(name)] > 1 else canonical_split(name) for name in names
    )


def find_split(wanted: str, names: Iterable[str]) -> str | None:
    """The split with exactly this name, or else the only one with the same common name."""
    names = list(names)
    if wanted in names:
        return wanted
    alike = [name for name in names if canonical_split(name) == canonical_split(wanted)]
    return alike[0] if len(alike) == 1 else None


def split_in_path(relative: PurePath, *, folders_only: bool) -> str:
    """The split that the name of a file, or of a folder above it, indicates; "" for none.

    Args:
        relative: The path below the dataset's folder.
        folders_only: True to ignore the file's own name.
    """
    folders = [*reversed(relative.parts[:-1])]
    names = [*relative.parts[:-1]] if folders_only else [relative.name, *folders]
    for name in names:
        for split, aliases in ALIASES.items():
            if re.search(rf"(?:^|[^a-z])(?:{'|'.join(aliases)})(?:[^a-z]|$)", name.lower()):
                return split
    return ""


def no_split(name: str, wanted: str, splits: list[str]) -> InputError:
    """The error for a split that does not exist."""
    return InputError(
        f"there is no split '{wanted}'",
        where=name,
        expected="one of " + ", ".join(splits),
        remedy=f"--train-split {splits[0]}",
    )
