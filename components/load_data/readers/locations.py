"""What a dataset's name stands for: a path, a pattern, a URI, or an id on the Hub."""

from __future__ import annotations

import difflib
import glob
import os
import re
from dataclasses import replace
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import remote
from kfp_finetune.components.load_data.readers.file_sets import FileSet, alike, no_labels
from kfp_finetune.components.load_data.readers.files import (
    ARCHIVE,
    FORMATS,
    File,
    expand,
    unknown_format,
)
from kfp_finetune.components.load_data.readers.folders import folder_place, no_file, not_read
from kfp_finetune.components.load_data.readers.unpacking import unzip
from kfp_finetune.components.uris import is_uri, local_path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_GLOB = re.compile(r"[*?\[]")


def locate(dataset: str, plain_text: str = "lines") -> FileSet:
    """Find what a dataset's name stands for, and download it if it is elsewhere.

    Args:
        dataset: The name.
        plain_text: What a file is whose suffix says nothing, as `ReadOptions` says.

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
                return FileSet("files", fetched.name, {"": alike(files, fetched.name)})
            return _here(fetched.path, fetched.name, plain_text)
        path, name = local, str(local)
    try:
        if path.exists():
            return _here(path, str(path), plain_text)
        if path.is_symlink():
            raise InputError(
                f"the link points to {os.readlink(path)}, which is not there",  # noqa: PTH115
                where=str(path),
                expected="a link to a file or folder",
                remedy="mend the link",
            )
        if _GLOB.search(name):
            return _pattern(path, plain_text)
    except PermissionError:
        raise _denied(path) from None
    except (OSError, ValueError):
        pass  # too long or with a NUL: no path, and no Hub id either
    if is_uri(dataset) or not is_hub_id(dataset):
        raise missing(path)
    return FileSet("hub", dataset)


def is_hub_id(dataset: str) -> bool:
    """Whether a name that is not on this disk can be a dataset on the Hub."""
    suffixes = {suffix.lower() for suffix in Path(dataset).suffixes}
    return bool(_HUB_ID.fullmatch(dataset)) and not suffixes & {*FORMATS, ARCHIVE}


def _here(path: Path, name: str, plain_text: str) -> FileSet:
    try:
        if path.is_dir():
            return folder_place(path, name, plain_text)
    except PermissionError:
        raise _denied(path) from None
    if not path.is_file():
        raise no_file(name)
    file = File(path, name)
    if path.suffix.lower() == ARCHIVE:
        return _archive(file, plain_text)
    if plain_text == "conll" or (plain_text == "table" and file.format == ".txt"):
        return FileSet("files", name, {"": [file]})
    if file.format not in FORMATS:
        raise unknown_format(file)
    if file.format == ".txt":
        raise no_labels(name, [path])
    return FileSet("files", name, {"": [file]})


def _archive(file: File, plain_text: str) -> FileSet:
    folder, left_out = unzip(file)
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    notes = (not_read(file.name, left_out),) if left_out else ()
    if len(members) == 1 and (members[0].suffix != ".txt" or plain_text != "lines"):
        member = File(members[0], f"{file.name}: {members[0].relative_to(folder)}")
        return FileSet("files", file.name, {"": [member]}, notes=notes)
    place = folder_place(folder, file.name, plain_text)
    return replace(place, notes=notes + place.notes)


def _pattern(pattern: Path, plain_text: str) -> FileSet:
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
    notes: tuple[str, ...] = ()
    for file in files:
        if file.path.suffix.lower() == ARCHIVE:
            place = _archive(file, plain_text)
            unpacked += [member for part in place.files.values() for member in part]
            notes += place.notes
        elif file.format not in FORMATS and plain_text != "conll":
            raise unknown_format(file)
        else:
            unpacked.append(file)
    return FileSet("files", str(pattern), {"": alike(unpacked, str(pattern))}, notes=notes)


def _denied(path: Path) -> InputError:
    return InputError(
        "permission denied",
        where=str(path),
        expected="a file or folder that this user may read",
        remedy=f"chmod +r {path}",
    )


def missing(path: Path, parameter: str = "dataset") -> InputError:
    """What is raised for a path that is not there.

    Args:
        path: The path.
        parameter: Whose value it is.
    """
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
        where=parameter,
        expected=f"a file ({', '.join(FORMATS)}), a folder, a pattern, a URI, or the id of a"
        " dataset on the Hub",
        remedy=remedy,
    )


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
