"""Copies on this disk of what cannot be read where it lies: downloads, archives and the like."""

from __future__ import annotations

import atexit
import lzma
import shutil
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.files import (
    CHUNK,
    FORMATS,
    File,
    is_data,
    open_binary,
    readable,
)


@cache
def scratch() -> Path:
    """A folder for downloads and unpacked archives, removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="kfp-finetune-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
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
    with readable(file), open_binary(file) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, CHUNK)
    return path


def unzip(file: File) -> Path:
    """The folder that an archive's data files were unpacked to, once per process.

    Raises:
        InputError: If it is damaged, encrypted, or holds no data files.
    """
    status = file.path.stat()
    return _unzip(file, status.st_mtime_ns, status.st_size)


@cache
def _unzip(file: File, _changed: int, _size: int) -> Path:
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
            for entry in members:
                archive.extract(entry, folder)  # takes ".." and leading slashes out of the names
            return folder
    except PermissionError:
        with readable(file):
            raise
    except (
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise InputError(
            f"the archive cannot be read: {error}",
            where=file.name,
            expected="a whole .zip file",
            remedy="copy or download it again",
        ) from None
    raise AssertionError  # pragma: no cover - `readable` always raises
