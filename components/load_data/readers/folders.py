"""A folder of data: which of its files are read, and the splits that their names tell."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.files import ARCHIVE, FORMATS, File, is_data
from kfp_finetune.components.load_data.readers.hub import is_saved
from kfp_finetune.components.load_data.readers.label_folders import label_folders
from kfp_finetune.components.load_data.readers.places import Place, alike, no_labels
from kfp_finetune.components.load_data.readers.reading import SPLIT_WORDS, TRAIN, canonical_split


def folder_place(folder: Path, name: str, plain_text: str = "lines") -> Place:
    """Find what is in a folder.

    Args:
        folder: The folder.
        name: What the user calls it.
        plain_text: What .txt files are, as `ReadOptions` says.

    Raises:
        InputError: If it holds no data files, or files that do not belong together.
    """
    if is_saved(folder):
        return Place("saved", name, folders={"": folder})
    paths = _data_files(folder)
    tables = [p for p in paths if File(p, "").format != ".txt" or plain_text == "conll"]
    if not tables:
        texts = _texts(folder, name)
        if texts:
            return texts
    by_split: dict[str, list[File]] = {}
    for path in tables or paths:
        relative = path.relative_to(folder)
        file = File(path, f"{name}/{relative}")
        if path.suffix.lower() == ARCHIVE:
            raise InputError(
                "the folder holds archives",
                where=file.name,
                expected="data files; of archives, one at a time",
                remedy=f"name the archive, or unpack it: --dataset {file.name}",
            )
        by_split.setdefault(_split_of(relative, texts=not tables), []).append(file)
    if not by_split:
        raise InputError(
            "the folder holds no data files",
            where=name,
            expected=f"files ending in {', '.join(FORMATS)}, which may be compressed",
            remedy="check the path",
        )
    if not tables and all(
        canonical_split(f.stem) in SPLIT_WORDS for fs in by_split.values() for f in fs
    ):
        raise no_labels(name)
    left_out = by_split.pop("", []) if TRAIN in by_split else []
    if "" in by_split and len(by_split) > 1:
        by_split[TRAIN] = by_split.pop("")
    alike([file for files in by_split.values() for file in files], name)
    notes: tuple[str, ...] = ()
    if plain_text == "conll" and (unread := _unread(folder)):
        notes = (f"{name}: of a kind that is not read, unless it is named: {', '.join(unread)}",)
    if left_out:
        shown = ", ".join(Path(file.name).name for file in left_out[:5])
        more = f" and {len(left_out) - 5:,} more" if len(left_out) > 5 else ""
        notes = (*notes, f"{name}: not named like a split, and not read: {shown}{more}")
    return Place("files", name, dict(sorted(by_split.items())), notes=notes)


def _texts(folder: Path, name: str) -> Place | None:
    below = {canonical_split(path.name): path for path in folder.iterdir() if path.is_dir()}
    splits = {split: path for split, path in below.items() if split in SPLIT_WORDS}
    splits = {split: path for split, path in splits.items() if label_folders(path)}
    if splits:
        return Place("texts", name, folders=splits)
    labels = label_folders(folder)
    if labels and not any(canonical_split(path.name) in SPLIT_WORDS for path in labels):
        return Place("texts", name, folders={"": folder})
    return None


def _unread(folder: Path) -> list[str]:
    """The files that are named like a split, and of no kind that is read in a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not is_data(path))
    return [path.name for path in files if _split_of(Path(path.name), texts=False)]


def _data_files(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise error

    found = []
    for root, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")))
        if len(Path(root).relative_to(folder).parts) >= 4:
            folders.clear()  # also where links lead in a circle
        found += [Path(root, name) for name in names if is_data(Path(name))]
    return sorted(found)


def _split_of(relative: Path, *, texts: bool) -> str:
    """The split that a file's name tells, or a folder's that it lies in; "" if none does."""
    names = [*relative.parts[:-1]] if texts else [relative.name, *reversed(relative.parts[:-1])]
    for name in names:
        for split, words in SPLIT_WORDS.items():
            if re.search(rf"(?:^|[^a-z])(?:{words})(?:[^a-z]|$)", name.lower()):
                return split
    return ""
