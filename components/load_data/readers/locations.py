"""Find the files of a dataset, given by a path, a pattern, a URI, or an id on the Hub."""

from __future__ import annotations

import difflib
import glob
import os
import re
from dataclasses import replace
from pathlib import Path
from shlex import quote

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.file_sets import (
    FileSet,
    check_same_format,
    no_labels,
    not_a_file,
    skipped,
)
from kfp_finetune.components.load_data.readers.folders import find_in_folder
from kfp_finetune.components.load_data.readers.formats import (
    DATA,
    EXPECTED,
    LISTED,
    SUFFIXES,
    TEXT,
    format_of,
    is_archive,
    unknown_format,
)
from kfp_finetune.components.storage.downloads import fetch
from kfp_finetune.components.storage.files import File, expand
from kfp_finetune.components.storage.unpacking import ARCHIVE, unzip
from kfp_finetune.components.storage.uris import is_uri, local_path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_GLOB = re.compile(r"[*?\[]")
_ANYTHING = "a folder, a pattern, a URI, or the id of a dataset on the Hub"


def locate(dataset: str, plain_text: str = "lines") -> FileSet:
    """Find a dataset, and download it if it is behind a URI.

    Args:
        dataset: Its name.
        plain_text: How plain text is read, as in `ReadOptions`.

    Raises:
        InputError: If there is no such dataset, or it is not data.
    """
    if not dataset.strip():
        raise InputError(
            "dataset is empty",
            where="dataset",
            expected=f"a file, {_ANYTHING}",
            remedy="--dataset data.csv",
        )
    path, name = expand(dataset), dataset
    if is_uri(dataset):
        local = local_path(dataset)
        if local is None:
            download = fetch(dataset, DATA)
            if download.is_pattern:
                found = sorted(file for file in download.path.rglob("*") if file.is_file())
                files = [File(file, f"{download.name}: {file.name}") for file in found]
                return FileSet(
                    "files", download.name, {"": check_same_format(files, download.name)}
                )
            return _on_disk(download.path, download.name, plain_text)
        path, name = local, str(local)
    try:
        if path.exists():
            return _on_disk(path, str(path), plain_text)
        if path.is_symlink():
            raise InputError(
                f"the link points to {os.readlink(path)}, which does not exist",  # noqa: PTH115
                where=str(path),
                expected="a link to a file or folder",
                remedy="repair the link",
            )
        if _GLOB.search(name):
            return _match(path, plain_text)
    except PermissionError:
        raise _denied(path) from None
    except (OSError, ValueError):
        pass  # too long, or with a NUL: neither a path nor a Hub id
    if is_uri(dataset) or not is_hub_id(dataset):
        raise missing(path)
    return FileSet("hub", dataset)


def is_hub_id(dataset: str) -> bool:
    """Return True if a name that is not on this disk can be the id of a dataset on the Hub."""
    suffixes = {suffix.lower() for suffix in Path(dataset).suffixes}
    return bool(_HUB_ID.fullmatch(dataset)) and not suffixes & {*SUFFIXES, ARCHIVE}


def _on_disk(path: Path, name: str, plain_text: str) -> FileSet:
    try:
        if path.is_dir():
            return find_in_folder(path, name, plain_text)
    except PermissionError:
        raise _denied(path) from None
    if not path.is_file():
        raise not_a_file(name)
    file = File(path, name)
    if is_archive(path):
        return _in_archive(file, plain_text)
    known = format_of(path)
    if plain_text != "conll" and known is None:
        raise unknown_format(file)
    if plain_text == "lines" and known is TEXT:
        raise no_labels(name, [path])
    return FileSet("files", name, {"": [file]})


def _in_archive(file: File, plain_text: str) -> FileSet:
    folder, others = unzip(file, DATA, EXPECTED)
    members = sorted(path for path in folder.rglob("*") if path.is_file())
    notes = (skipped(file.name, others),) if others else ()
    if len(members) == 1 and (format_of(members[0]) is not TEXT or plain_text != "lines"):
        member = File(members[0], f"{file.name}: {members[0].relative_to(folder)}")
        return FileSet("files", file.name, {"": [member]}, notes=notes)
    found = find_in_folder(folder, file.name, plain_text)
    return replace(found, notes=notes + found.notes)


def _match(pattern: Path, plain_text: str) -> FileSet:
    paths = [Path(path) for path in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207
    files = [File(path, str(path)) for path in paths if path.is_file()]
    if not files:
        raise InputError(
            "no file matches",
            where=str(pattern),
            expected=f"a pattern of files ending in {LISTED}",
            remedy="check the pattern and the folder",
        )
    unpacked: list[File] = []
    notes: tuple[str, ...] = ()
    for file in files:
        if is_archive(file.path):
            found = _in_archive(file, plain_text)
            unpacked += [member for part in found.files.values() for member in part]
            notes += found.notes
        elif format_of(file.path) is None and plain_text != "conll":
            raise unknown_format(file)
        else:
            unpacked.append(file)
    name = str(pattern)
    return FileSet("files", name, {"": check_same_format(unpacked, name)}, notes=notes)


def _denied(path: Path) -> InputError:
    return InputError(
        "permission denied",
        where=str(path),
        expected="a file or folder that this user may read",
        remedy=f"chmod +r {quote(str(path))}",
    )


def missing(path: Path, parameter: str = "dataset") -> InputError:
    """The error for a path that does not exist.

    Args:
        path: The path.
        parameter: The parameter with this value.
    """
    parent = path.parent
    wanted, remedy = path, "check the path"
    if not _is_dir(parent):
        while not _is_dir(parent) and parent != parent.parent:
            wanted, parent = parent, parent.parent
        remedy = f"check the path: {wanted} does not exist"
    try:
        names = sorted(below.name for below in parent.iterdir())
    except OSError:
        names = []
    near = difflib.get_close_matches(wanted.name, names, n=3)
    if near:
        remedy += f"; {parent.absolute()} contains " + ", ".join(near)
    return InputError(
        f"there is no file {path}",
        where=parameter,
        expected=f"a file ({LISTED}), {_ANYTHING}",
        remedy=remedy,
    )


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
