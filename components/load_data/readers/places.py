"""A place of data: the files and folders that a dataset's name stands for, by split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.files import File


@dataclass(frozen=True)
class Place:
    """What a dataset's name stands for.

    Attributes:
        kind: "files"; "texts" (folders of a text per file); "saved" (by the datasets library);
            "hub".
        name: What the user calls it, without secrets.
        files: The files by split; under "" those of no split.
        folders: For "texts" and "saved", the folder by split.
        notes: What was found or left out, for the user.
    """

    kind: Literal["files", "texts", "saved", "hub"]
    name: str
    files: dict[str, list[File]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> list[str]:
        """The names of its splits, as far as names tell."""
        return sorted(name for name in (*self.files, *self.folders) if name)


def alike(files: list[File], name: str) -> list[File]:
    """The files, which are all of one format.

    Raises:
        InputError: If they are not.
    """
    formats = Counter(file.format for file in files)
    if len(formats) > 1:
        usual = formats.most_common(1)[0][0]
        odd = next(file for file in files if file.format != usual)
        raise InputError(
            f"the files are of several formats: {', '.join(sorted(formats))}",
            where=odd.name,
            expected=f"only {usual} files, as the others in {name}",
            remedy=f"name the files by a pattern, e.g. '*{usual}', or one of them",
        )
    return files


def no_labels(name: str) -> InputError:
    """What is raised for plain text that no name gives a label."""
    return InputError(
        "plain text has no labels",
        where=name,
        expected="a folder with a sub-folder of .txt files per label, or a .txt file per label",
        remedy="arrange it so, or give the texts with their labels as .csv or .jsonl; of words with"
        " tags, one a line: --task token-classification",
    )
