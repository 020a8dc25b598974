"""The files and folders of a dataset, by split."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.files import File
from kfp_finetune.components.tasks.registry import task_of_layout

_LOOKED_AT = 20_000
_SHOWN = 10


@dataclass(frozen=True)
class Parallel:
    """Texts and their labels in two files, line by line.

    Attributes:
        texts: A text per line.
        labels: The label of each text.
        names: The names of labels that are numbers; None if there is no such file.
    """

    texts: File
    labels: File
    names: File | None = None


@dataclass(frozen=True)
class FileSet:
    """The files of a dataset.

    Attributes:
        kind: "files"; "texts" (folders with one text per file); "parallel" (texts and labels in two
            files); "saved" (by the datasets library); "hub".
        name: The dataset's name in messages, without secrets.
        files: The files by split, with "" for files of no split.
        folders: For "texts" and "saved", the folder by split.
        parallel: For "parallel", the two files by split.
        notes: Files and formats that were detected or skipped, as sentences for the user.
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
        """The splits that the names indicate, sorted."""
        return sorted(name for name in (*self.files, *self.folders, *self.parallel) if name)


def check_same_format(files: list[File], name: str) -> list[File]:
    """Check that files have the same format.

    Args:
        files: The files.
        name: The dataset's name in messages.

    Returns:
        The files.

    Raises:
        InputError: If they have several formats.
    """
    formats = Counter(file.format for file in files)
    if len(formats) > 1:
        usual = formats.most_common(1)[0][0]
        odd = next(file for file in files if file.format != usual)
        raise InputError(
            f"the files have several formats: {', '.join(sorted(formats))}",
            where=odd.name,
            expected=f"only {usual} files, like the others in {name}",
            remedy=f"give a pattern, e.g. '*{usual}', or one of the files",
        )
    return files


def skipped(name: str, files: Sequence[str]) -> str:
    """A note about files that are skipped because of their file type.

    Args:
        name: The name of the folder or archive in messages.
        files: The names of the files.
    """
    return f"{name}: skipped (unsupported file type; name the file to read it): {first_few(files)}"


def first_few(names: Sequence[str]) -> str:
    """A list of names for a message: the first ten, and the number of others."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def not_a_file(name: str) -> InputError:
    """The error for a pipe, a device or similar, whose content can be read only once."""
    return InputError(
        "this is neither a file nor a folder",
        where=name,
        expected="a file that can be read more than once",
        remedy="write the data to a file",
    )


def no_labels(name: str, files: list[Path]) -> InputError:
    """The error for plain text without labels.

    Args:
        name: The name of the file or folder in messages.
        files: The text files.
    """
    with contextlib.suppress(OSError):
        if files and _is_table(files[0]):
            return InputError(
                f"{files[0].name} is named like plain text, but its lines contain tabs",
                where=name,
                expected="a table as .tsv or .csv, or a delimiter for a .txt file",
                remedy="to read it as a table: --delimiter tab",
            )
    return InputError(
        "plain text has no labels",
        where=name,
        expected="a folder with one sub-folder of .txt files per label, or one .txt file per label",
        remedy="arrange the files like that, or put the labels into a file beside the texts, line"
        " by line (train_text.txt, train_labels.txt), or convert them to .csv or .jsonl; for words"
        f" with tags, one per line: --task {task_of_layout('conll').name}",
    )


def _is_table(path: Path) -> bool:
    """Return True if the first lines of a text file all have the same number of tabs."""
    with path.open("rb") as file:
        lines = [line for line in file.read(_LOOKED_AT).split(b"\n")[:-1] if line.strip()]
    widths = {line.count(b"\t") for line in lines}
    return len(widths) == 1 and widths != {0}
