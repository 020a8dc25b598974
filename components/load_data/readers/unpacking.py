"""Copies on this disk of what cannot be read where it lies: downloads, archives and the like."""

from __future__ import annotations

import atexit
import errno
import lzma
import shutil
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import IO

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.files import (
    CHUNK,
    FORMATS,
    File,
    is_data,
    open_binary,
    readable,
)
from kfp_finetune.components.temporary import make

_locks: list[IO[str]] = []  # open, and so held, until the process ends


@cache
def scratch() -> Path:
    """A folder for downloads and unpacked archives, removed when the process ends."""
    folder, lock = make()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _locks.append(lock)
    return folder


def new_folder() -> Path:
    """An empty folder in the scratch folder."""
    return Path(tempfile.mkdtemp(dir=scratch()))


def decompressed(file: File) -> Path:
    """A path at which the file lies without compression, for libraries that seek.

    Raises:
        InputError: If it cannot be decompressed.
    """
    if not file.compression:
        return file.path
    status = file.path.stat()
    return _decompress(file, status.st_mtime_ns, status.st_size)


@cache
def _decompress(file: File, _changed: int, _size: int) -> Path:
    path = new_folder() / file.path.with_suffix("").name
    try:
        with open_binary(file) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(file.name, "the unpacked file") from None
        with readable(file):
            raise
    except Exception:
        with readable(file):
            raise
    return path


def unzip(file: File) -> tuple[Path, tuple[str, ...]]:
    """Unpack an archive's data files, once per process.

    Returns:
        The folder that they were unpacked to, and the names of the other files in the archive.

    Raises:
        InputError: If it is damaged, encrypted, holds no data files, or two that would be unpacked
            to the same place.
    """
    status = file.path.stat()
    return _unzip(file, status.st_mtime_ns, status.st_size)


@cache
def _unzip(file: File, _changed: int, _size: int) -> tuple[Path, tuple[str, ...]]:
    try:
        with zipfile.ZipFile(file.path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            members = [
                entry
                for entry in entries
                if is_data(Path(entry.filename)) and "__MACOSX" not in entry.filename
            ]
            if not members:
                raise InputError(
                    "the archive holds no data file: "
                    + (", ".join(entry.filename for entry in entries[:10]) or "it is empty"),
                    where=file.name,
                    expected=f"a file ending in {', '.join(FORMATS)}",
                    remedy="check that this is the right archive",
                )
            if any(entry.flag_bits & 1 for entry in members):
                raise InputError(
                    "the archive is encrypted",
                    where=file.name,
                    expected="an archive without a password",
                    remedy="unpack it, and name the file or folder",
                )
            folder = new_folder()
            of_path: dict[str, str] = {}
            for entry in members:
                # This takes ".." and leading slashes out of the names.
                path = archive.extract(entry, folder)
                if path in of_path:
                    raise _same_place(file, of_path[path], entry.filename)
                of_path[path] = entry.filename
            taken = {entry.filename for entry in members}
            others = [e.filename for e in entries if e.filename not in taken]
            return folder, tuple(sorted(n for n in others if "__MACOSX" not in n))
    except PermissionError:
        with readable(file):
            raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(file.name, "the unpacked archive") from None
        raise _unreadable(file, error) from None
    except (
        EOFError,
        ValueError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise _unreadable(file, error) from None
    raise AssertionError  # pragma: no cover - `readable` always raises


def _same_place(file: File, first: str, second: str) -> InputError:
    both = f"two files called {first!r}" if first == second else f"{first!r} and {second!r}"
    return InputError(
        f"the archive holds {both}, which would be unpacked to the same place",
        where=file.name,
        expected="a name of its own for every file",
        remedy="unpack it, look at both, and name the folder or the file",
    )


def _unreadable(file: File, error: Exception) -> InputError:
    return InputError(
        f"the archive cannot be read: {error}",
        where=file.name,
        expected="a whole .zip file",
        remedy="copy or download it again",
    )


def disk_full(name: str, what: str) -> InputError:
    """What is raised where there is no room for a copy."""
    return InputError(
        "the disk is full",
        where=name,
        expected=f"room for {what} in {tempfile.gettempdir()}",
        remedy="make room, or set TMPDIR to a folder on another disk",
    )
