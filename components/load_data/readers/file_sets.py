"""A place of data: the files and folders that a dataset's name stands for, by split."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.files import File
from kfp_finetune.components.tasks.registry import task_of_layout

_LOOKED_AT = 20_000


@dataclass(frozen=True)
class Parallel:
    """Texts and their labels in two files, line by line.

    Attributes:
        texts: A text a line.
        labels: The label of each.
        names: The names of labels that are numbers; None if there is no such file.
    """

    texts: File
    labels: File
    names: File | None = None


@dataclass(frozen=True)
class FileSet:
    """What a dataset's name stands for.

    Attributes:
        kind: "files"; "texts" (folders of a text per file); "parallel" (texts and labels in two
            files); "saved" (by the datasets library); "hub".
        name: What the user calls it, without secrets.
        files: The files by split; under "" those of no split.
        folders: For "texts" and "saved", the folder by split.
        parallel: For "parallel", the two files by split.
        notes: What was found or left out, for the user.
        warnings: The same, where it may be a mistake.
    """

    kind: Literal["files", "texts", "parallel", "saved", "hub"]
    name: str
    files: dict[str, list[File]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    parallel: dict[str, Parallel] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def splits(self) -> list[str]:
        """The names of its splits, as far as names tell."""
        return sorted(name for name in (*self.files, *self.folders, *self.parallel) if name)


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


def no_labels(name: str, files: list[Path]) -> InputError:
    """What is raised for plain text that no name gives a label.

    Args:
        name: What the user calls the file, or the folder.
        files: The files of text.
    """
    with contextlib.suppress(OSError):
        if files and (table := _as_table(files[0])):
            return InputError(
                f"{files[0].name} is plain text by its name, and its lines have {table}",
                where=name,
                expected="a table as .tsv or .csv, or how a .txt file is one",
                remedy=f"to read it as a table: --delimiter {table.removesuffix('s')}",
            )
    return InputError(
        "plain text has no labels",
        where=name,
        expected="a folder with a sub-folder of .txt files per label, or a .txt file per label",
        remedy="arrange it so, or put the labels into a file beside the texts, line by line"
        " (train_text.txt, train_labels.txt), or give them as .csv or .jsonl; of words with"
        f" tags, one a line: --task {task_of_layout('conll').name}",
    )


def _as_table(path: Path) -> str:
    """What divides the first lines of a file of plain text into cells, if something does: tabs."""
    with path.open("rb") as file:
        lines = [line for line in file.read(_LOOKED_AT).split(b"\n")[:-1] if line.strip()]
    widths = {line.count(b"\t") for line in lines}
    return "tabs" if len(widths) == 1 and widths != {0} else ""
