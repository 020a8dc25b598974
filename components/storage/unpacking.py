"""Unpacked copies of compressed files and archives."""

from __future__ import annotations

import errno
import lzma
import shutil
import zipfile
import zlib
from functools import cache
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.downloads import Wanted
from kfp_finetune.components.storage.errors import disk_full
from kfp_finetune.components.storage.files import CHUNK, File, open_binary, readable
from kfp_finetune.components.storage.scratch import new_folder

ARCHIVE = ".zip"


def decompressed(file: File) -> Path:
    """The path of an uncompressed copy of a file, or of the file itself if it is not compressed.

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


def unzip(file: File, wanted: Wanted, expected: str) -> tuple[Path, tuple[str, ...]]:
    """Unpack some files of an archive, once per process.

    Args:
        file: The archive.
        wanted: The files to unpack.
        expected: The files that it should contain, for the message if it has none of them.

    Returns:
        The folder that they were unpacked to, and the names of the other files in the archive.

    Raises:
        InputError: If it is damaged or encrypted, has no such files, or has two that would be
            unpacked to the same path.
    """
    status = file.path.stat()
    return _unzip(file, wanted, expected, status.st_mtime_ns, status.st_size)


@cache
def _unzip(
    file: File, wanted: Wanted, expected: str, _changed: int, _size: int
) -> tuple[Path, tuple[str, ...]]:
    try:
        with zipfile.ZipFile(file.path) as archive:
            return _extract(archive, file, wanted, expected)
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


def _extract(
    archive: zipfile.ZipFile, file: File, wanted: Wanted, expected: str
) -> tuple[Path, tuple[str, ...]]:
    entries = [
        entry
        for entry in archive.infolist()
        if not entry.is_dir() and "__MACOSX" not in entry.filename
    ]
    members = [entry for entry in entries if wanted.matches(entry.filename)]
    if not members:
        raise InputError(
            f"the archive has no {wanted.name}: "
            + (", ".join(entry.filename for entry in entries[:10]) or "it is empty"),
            where=file.name,
            expected=expected,
            remedy="check that this is the right archive",
        )
    if any(entry.flag_bits & 1 for entry in members):
        raise InputError(
            "the archive is encrypted",
            where=file.name,
            expected="an archive without a password",
            remedy="unpack it and use the file or folder",
        )
    folder = new_folder()
    unpacked: dict[str, str] = {}
    for entry in members:
        path = archive.extract(entry, folder)  # which removes ".." and leading slashes
        if path in unpacked:
            raise _same_place(file, unpacked[path], entry.filename)
        unpacked[path] = entry.filename
    names = {entry.filename for entry in members}
    return folder, tuple(sorted({entry.filename for entry in entries} - names))


def _same_place(file: File, first: str, second: str) -> InputError:
    both = f"two files named {first!r}" if first == second else f"{first!r} and {second!r}"
    return InputError(
        f"the archive has {both}, which would be unpacked to the same path",
        where=file.name,
        expected="a different name for every file",
        remedy="unpack it, compare the two, and use the folder or the file",
    )


def _unreadable(file: File, error: Exception) -> InputError:
    return InputError(
        f"the archive cannot be read: {error}",
        where=file.name,
        expected="a complete .zip file",
        remedy="copy or download it again",
    )
