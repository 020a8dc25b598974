"""The data files in a folder, and the splits that their names indicate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.file_sets import (
    FileSet,
    check_same_format,
    first_few,
    no_labels,
    not_a_file,
    skipped,
)
from kfp_finetune.components.load_data.readers.formats import (
    LISTED,
    TEXT,
    format_of,
    is_archive,
    is_data,
)
from kfp_finetune.components.load_data.readers.hub import is_saved
from kfp_finetune.components.load_data.readers.label_folders import label_folders
from kfp_finetune.components.load_data.readers.parallel import parallel_files
from kfp_finetune.components.load_data.readers.split_names import (
    ALIASES,
    TRAIN,
    canonical_split,
    split_in_path,
)
from kfp_finetune.components.storage.files import File

_DEPTH, _MOST_FILES = 4, 1_000_000


def find_in_folder(folder: Path, name: str, plain_text: str = "lines") -> FileSet:
    """Find the data in a folder.

    Args:
        folder: The folder.
        name: Its name in messages.
        plain_text: How .txt files are read, as in `ReadOptions`.

    Raises:
        InputError: If it has no data files, or files that do not belong together.
    """
    if is_saved(folder):
        return FileSet("saved", name, folders={"": folder})
    paths, others = _data_files(folder, name)
    notes: tuple[str, ...] = (skipped(name, others),) if others else ()
    tables = [p for p in paths if format_of(p) is not TEXT or plain_text != "lines"]
    if not tables:
        found = _parallel(paths, folder, name) or _texts(folder, name)
        if found:
            return replace(found, notes=notes + found.notes)
    by_split = _by_split(tables or paths, folder, name, texts=not tables)
    files = [file for part in by_split.values() for file in part]
    if not files:
        raise InputError(
            "the folder has no data files",
            where=name,
            expected=f"files ending in {LISTED}, which may be compressed",
            remedy="check the path",
        )
    if not tables and all(canonical_split(file.stem) in ALIASES for file in files):
        raise no_labels(name, paths)
    warnings: tuple[str, ...] = ()
    if TRAIN in by_split and (unnamed := by_split.pop("", [])):
        shown = first_few([Path(file.name).name for file in unnamed])
        warnings = (f"{name}: skipped, because the name indicates no split: {shown}",)
    if "" in by_split and len(by_split) > 1:
        by_split[TRAIN] = by_split.pop("")
    check_same_format([file for part in by_split.values() for file in part], name)
    return FileSet("files", name, dict(sorted(by_split.items())), notes=notes, warnings=warnings)


def _by_split(
    paths: Sequence[Path], folder: Path, name: str, *, texts: bool
) -> dict[str, list[File]]:
    by_split: dict[str, list[File]] = {}
    for path in paths:
        relative = path.relative_to(folder)
        file = File(path, f"{name}/{relative}")
        if is_archive(path):
            raise InputError(
                "the folder contains archives",
                where=file.name,
                expected="data files, or a single archive",
                remedy=f"give the archive, or unpack it: --dataset {quote(file.name)}",
            )
        by_split.setdefault(split_in_path(relative, folders_only=texts), []).append(file)
    return by_split


def _parallel(paths: list[Path], folder: Path, name: str) -> FileSet | None:
    """Files of texts with files of labels beside them, directly in the folder."""
    found = parallel_files([path for path in paths if path.parent == folder], name)
    by_split = {split_in_path(Path(key), folders_only=False): part for key, part in found.items()}
    if not found or len(by_split) < len(found):
        return None
    used = {file.path for files in found.values() for file in (files.texts, files.labels)}
    used |= {files.names.path for files in found.values() if files.names}
    others = [path.name for path in paths if path not in used]
    notes = (f"{name}: skipped, neither texts nor labels: {first_few(others)}",)
    return FileSet("parallel", name, parallel=by_split, notes=notes if others else ())


def _texts(folder: Path, name: str) -> FileSet | None:
    """Find a folder per label, or a folder per split with a folder per label in it."""
    below = {canonical_split(path.name): path for path in folder.iterdir() if path.is_dir()}
    splits = {split: path for split, path in below.items() if split in ALIASES}
    splits = {split: path for split, path in splits.items() if label_folders(path)}
    if splits:
        return FileSet("texts", name, folders=splits)
    labels = label_folders(folder)
    if labels and not any(canonical_split(path.name) in ALIASES for path in labels):
        return FileSet("texts", name, folders={"": folder})
    return None


def _data_files(folder: Path, name: str) -> tuple[list[Path], list[str]]:
    """The data files in a folder, and the names of the others; hidden files are neither."""

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
            folders.clear()  # this also stops at circular links
        for file in sorted(names):
            path = Path(root, file)
            if is_data(path):
                if path.exists() and not path.is_file():
                    raise not_a_file(f"{name}/{path.relative_to(folder)}")
                found.append(path)
            elif not file.startswith("."):
                others.append(str(path.relative_to(folder)))
        if len(found) + len(others) > _MOST_FILES:
            raise InputError(
                f"the folder has more than {_MOST_FILES:,} files",
                where=name,
                expected="a folder of data",
                remedy="give the folder that the data files are in",
            )
    return sorted(found), others


def _leads_out(link: Path, name: str) -> InputError:
    return InputError(
        f"the link {link.name} points to {link.resolve()}, which contains the folder itself",
        where=name,
        expected="a folder of data, without a link to a folder above it",
        remedy=f"remove the link: rm {quote(str(link))}",
    )
