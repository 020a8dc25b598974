"""What a dataset's name stands for: files, folders, and the splits that their names tell."""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import remote
from kfp_finetune.components.load_data.readers.files import (
    ARCHIVE,
    FORMATS,
    File,
    expand,
    is_data,
    unknown_format,
    unzip,
)
from kfp_finetune.components.load_data.readers.hub import is_saved
from kfp_finetune.components.load_data.readers.label_folders import label_folders
from kfp_finetune.components.load_data.readers.reading import SPLIT_WORDS, TRAIN, canonical_split
from kfp_finetune.components.load_data.readers.uris import is_uri, local_path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_GLOB = re.compile(r"[*?\[]")


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


def locate(dataset: str) -> Place:
    """Find what a dataset's name stands for, and download it if it is elsewhere.

    Raises:
        InputError: If there is nothing, or what is there is not data.
    """
    if not dataset.strip():
        raise InputError(
            "dataset is empty",
            where="dataset",
            expected="a file, a folder, a pattern, a URI, or the id of a dataset on the Hub",
            remedy="--dataset data.csv",
        )
    path, name = expand(dataset), dataset
    if is_uri(dataset):
        local = local_path(dataset)
        if local is None:
            fetched = remote.fetch(dataset)
            if fetched.is_glob:
                found = sorted(file for file in fetched.path.rglob("*") if file.is_file())
                files = [File(file, f"{fetched.name}: {file.name}") for file in found]
                return Place("files", fetched.name, {"": _alike(files, fetched.name)})
            return _here(fetched.path, fetched.name)
        path, name = local, str(local)
    try:
        if path.exists():
            return _here(path, str(path))
        if path.is_symlink():
            raise InputError(
                f"the link points to {os.readlink(path)}, which is not there",  # noqa: PTH115
                where=str(path),
                expected="a link to a file or folder",
                remedy="mend the link",
            )
        if _GLOB.search(name):
            return _pattern(path)
    except PermissionError:
        raise _denied(path) from None
    except (OSError, ValueError):
        pass  # too long or with a NUL: no path, and no Hub id either
    if is_uri(dataset) or not is_hub_id(dataset):
        raise _missing(path)
    return Place("hub", dataset)


def is_hub_id(dataset: str) -> bool:
    """Whether a name that is not on this disk can be a dataset on the Hub."""
    suffixes = {suffix.lower() for suffix in Path(dataset).suffixes}
    return bool(_HUB_ID.fullmatch(dataset)) and not suffixes & {*FORMATS, ARCHIVE}


def _here(path: Path, name: str) -> Place:
    try:
        if path.is_dir():
            return _folder(path, name)
    except PermissionError:
        raise _denied(path) from None
    if not path.is_file():
        raise InputError(
            "this is neither a file nor a folder",
            where=name,
            expected="a file that can be read more than once",
            remedy="write the data to a file",
        )
    file = File(path, name)
    if path.suffix.lower() == ARCHIVE:
        return _archive(file)
    if file.format not in FORMATS:
        raise unknown_format(file)
    if file.format == ".txt":
        raise _no_labels(name)
    return Place("files", name, {"": [file]})


def _archive(file: File) -> Place:
    folder = unzip(file)
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(members) == 1 and members[0].suffix != ".txt":
        member = File(members[0], f"{file.name}: {members[0].relative_to(folder)}")
        return Place("files", file.name, {"": [member]})
    return _folder(folder, file.name)


def _pattern(pattern: Path) -> Place:
    paths = [Path(path) for path in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207
    files = [File(path, str(path)) for path in paths if path.is_file()]
    if not files:
        raise InputError(
            "no file matches",
            where=str(pattern),
            expected=f"a pattern of files ending in {', '.join(FORMATS)}",
            remedy="check the pattern and the folder",
        )
    unpacked: list[File] = []
    for file in files:
        if file.path.suffix.lower() == ARCHIVE:
            unpacked += [member for part in _archive(file).files.values() for member in part]
        elif file.format not in FORMATS:
            raise unknown_format(file)
        else:
            unpacked.append(file)
    return Place("files", str(pattern), {"": _alike(unpacked, str(pattern))})


def _folder(folder: Path, name: str) -> Place:
    if is_saved(folder):
        return Place("saved", name, folders={"": folder})
    paths = _data_files(folder)
    tables = [path for path in paths if File(path, "").format != ".txt"]
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
        raise _no_labels(name)
    left_out = by_split.pop("", []) if TRAIN in by_split else []
    if "" in by_split and len(by_split) > 1:
        by_split[TRAIN] = by_split.pop("")
    _alike([file for files in by_split.values() for file in files], name)
    notes: tuple[str, ...] = ()
    if left_out:
        shown = ", ".join(Path(file.name).name for file in left_out[:5])
        more = f" and {len(left_out) - 5:,} more" if len(left_out) > 5 else ""
        notes = (f"{name}: not named like a split, and not read: {shown}{more}",)
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


def _alike(files: list[File], name: str) -> list[File]:
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


def _no_labels(name: str) -> InputError:
    return InputError(
        "plain text has no labels",
        where=name,
        expected="a folder with a sub-folder of .txt files per label, or a .txt file per label",
        remedy="arrange it so, or give the texts with their labels as .csv or .jsonl",
    )


def _denied(path: Path) -> InputError:
    return InputError(
        "permission denied",
        where=str(path),
        expected="a file or folder that this user may read",
        remedy=f"chmod +r {path}",
    )


def _missing(path: Path) -> InputError:
    parent = path.parent
    wanted, remedy = path, "check the path"
    if not _is_dir(parent):
        while not _is_dir(parent) and parent != parent.parent:
            wanted, parent = parent, parent.parent
        remedy = f"check the path: {wanted} is not there"
    try:
        names = sorted(below.name for below in parent.iterdir())
    except OSError:
        names = []
    near = difflib.get_close_matches(wanted.name, names, n=3)
    if near:
        remedy += f"; in {parent} there is " + ", ".join(near)
    return InputError(
        f"there is no file {path}",
        where="dataset",
        expected=f"a file ({', '.join(FORMATS)}), a folder, a pattern, a URI, or the id of a"
        " dataset on the Hub",
        remedy=remedy,
    )


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
