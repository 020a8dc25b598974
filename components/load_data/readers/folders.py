"""A folder of data: which of its files are read, and the splits that their names tell."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.file_sets import FileSet, alike, no_labels
from kfp_finetune.components.load_data.readers.files import ARCHIVE, FORMATS, File, is_data
from kfp_finetune.components.load_data.readers.hub import is_saved
from kfp_finetune.components.load_data.readers.label_folders import label_folders
from kfp_finetune.components.load_data.readers.parallel import parallel_files
from kfp_finetune.components.load_data.readers.source import SPLIT_WORDS, TRAIN, canonical_split

_DEPTH, _MOST_FILES, _SHOWN = 4, 1_000_000, 10


def folder_place(folder: Path, name: str, plain_text: str = "lines") -> FileSet:
    """Find what is in a folder.

    Args:
        folder: The folder.
        name: What the user calls it.
        plain_text: What .txt files are, as `ReadOptions` says.

    Raises:
        InputError: If it holds no data files, or files that do not belong together.
    """
    if is_saved(folder):
        return FileSet("saved", name, folders={"": folder})
    paths, others = _data_files(folder, name)
    notes: tuple[str, ...] = (not_read(name, others),) if others else ()
    tables = [p for p in paths if File(p, "").format != ".txt" or plain_text != "lines"]
    if not tables:
        place = _parallel(paths, folder, name) or _texts(folder, name)
        if place:
            return replace(place, notes=notes + place.notes)
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
        raise no_labels(name, paths)
    left_out = by_split.pop("", []) if TRAIN in by_split else []
    if "" in by_split and len(by_split) > 1:
        by_split[TRAIN] = by_split.pop("")
    alike([file for files in by_split.values() for file in files], name)
    warnings: tuple[str, ...] = ()
    if left_out:
        shown = _shown([Path(file.name).name for file in left_out])
        warnings = (f"{name}: not named like a split, and not read: {shown}",)
    by_split = dict(sorted(by_split.items()))
    return FileSet("files", name, by_split, notes=notes, warnings=warnings)


def no_file(name: str) -> InputError:
    """What is raised for a pipe, a device or the like, whose content there is only once."""
    return InputError(
        "this is neither a file nor a folder",
        where=name,
        expected="a file that can be read more than once",
        remedy="write the data to a file",
    )


def not_read(name: str, files: Sequence[str]) -> str:
    """A note that names files that are of a kind that is not read.

    Args:
        name: What the user calls the folder or the archive.
        files: Their names.
    """
    return f"{name}: skipped (unsupported file type; name the file to read it): {_shown(files)}"


def _shown(files: Sequence[str]) -> str:
    more = f" and {len(files) - _SHOWN:,} more" if len(files) > _SHOWN else ""
    return ", ".join(files[:_SHOWN]) + more


def _parallel(paths: list[Path], folder: Path, name: str) -> FileSet | None:
    """Files of texts with files of labels beside them, in the folder itself."""
    found = parallel_files([path for path in paths if path.parent == folder], name)
    by_split = {_split_of(Path(key), texts=False): files for key, files in found.items()}
    if not found or len(by_split) < len(found):
        return None
    used = {file.path for files in found.values() for file in (files.texts, files.labels)}
    used |= {files.names.path for files in found.values() if files.names}
    left_out = [path.name for path in paths if path not in used]
    notes = (f"{name}: neither texts nor labels, and not read: {_shown(left_out)}",)
    return FileSet("parallel", name, parallel=by_split, notes=notes if left_out else ())


def _texts(folder: Path, name: str) -> FileSet | None:
    below = {canonical_split(path.name): path for path in folder.iterdir() if path.is_dir()}
    splits = {split: path for split, path in below.items() if split in SPLIT_WORDS}
    splits = {split: path for split, path in splits.items() if label_folders(path)}
    if splits:
        return FileSet("texts", name, folders=splits)
    labels = label_folders(folder)
    if labels and not any(canonical_split(path.name) in SPLIT_WORDS for path in labels):
        return FileSet("texts", name, folders={"": folder})
    return None


def _data_files(folder: Path, name: str) -> tuple[list[Path], list[str]]:
    """The data files in a folder, and the names of the others; hidden ones are neither."""

    def fail(error: OSError) -> None:
        raise error

    found: list[Path] = []
    others: list[str] = []
    above = {folder.resolve(), *folder.resolve().parents}
    for root, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")))
        for below in folders:
            if (path := Path(root, below)).is_symlink() and path.resolve() in above:
                raise _leads_out(path, name)
        if len(Path(root).relative_to(folder).parts) >= _DEPTH:
            folders.clear()  # also where links lead in a circle
        for file in sorted(names):
            path = Path(root, file)
            if is_data(path):
                if path.exists() and not path.is_file():
                    raise no_file(f"{name}/{path.relative_to(folder)}")
                found.append(path)
            elif not file.startswith("."):
                others.append(str(path.relative_to(folder)))
        if len(found) + len(others) > _MOST_FILES:
            raise InputError(
                f"the folder holds more than {_MOST_FILES:,} files",
                where=name,
                expected="a folder of data",
                remedy="name the folder that the data files lie in",
            )
    return sorted(found), others


def _leads_out(link: Path, name: str) -> InputError:
    return InputError(
        f"the link {link.name} leads to {link.resolve()}, which the folder itself lies in",
        where=name,
        expected="a folder of data, without a link to a folder above it",
        remedy=f"take the link out: rm {quote(str(link))}",
    )


def _split_of(relative: Path, *, texts: bool) -> str:
    """The split that a file's name tells, or a folder's that it lies in; "" if none does."""
    names = [*relative.parts[:-1]] if texts else [relative.name, *reversed(relative.parts[:-1])]
    for name in names:
        for split, words in SPLIT_WORDS.items():
            if re.search(rf"(?:^|[^a-z])(?:{words})(?:[^a-z]|$)", name.lower()):
                return split
    return ""
