"""Files on this disk: names, decompression, and atomic writes."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from kfp_finetune.components.errors import InputError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
CHUNK = 1 << 20


@dataclass(frozen=True)
class File:
    """A file on this disk.

    Attributes:
        path: Its path.
        name: Its name in messages: a path, a URI, or a member of an archive.
    """

    path: Path
    name: str

    @property
    def compression(self) -> str:
        """The suffix of its compression; "" if there is none."""
        suffix = self.path.suffix.lower()
        return suffix if suffix in COMPRESSIONS else ""

    @property
    def format(self) -> str:
        """Its suffix in lower case, without that of the compression."""
        path = self.path.with_suffix("") if self.compression else self.path
        return path.suffix.lower()

    @property
    def stem(self) -> str:
        """Its name without suffixes."""
        path = self.path.with_suffix("") if self.compression else self.path
        return path.stem


def open_binary(file: File) -> BinaryIO:
    """Open a file's bytes, decompressed. Read them within `readable`."""
    if file.compression == ".gz":
        return cast(BinaryIO, gzip.open(file.path))
    if file.compression == ".bz2":
        return cast(BinaryIO, bz2.open(file.path))
    if file.compression == ".xz":
        return cast(BinaryIO, lzma.open(file.path))
    if file.compression == ".zst":
        return cast(BinaryIO, io.BufferedReader(_Zstandard(file.path), CHUNK))
    return file.path.open("rb")


class _Zstandard(io.RawIOBase):
    """Decompresses frame by frame; unlike the library's reader, it detects a missing end."""

    def __init__(self, path: Path) -> None:
        import zstandard

        self._new = zstandard.ZstdDecompressor().decompressobj
        self._file = path.open("rb")
        self._frame: Any = None
        self._out = memoryview(b"")
        self._in = b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._out:
            data = self._in or self._file.read(CHUNK)
            self._in = b""
            if not data:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._frame = self._frame or self._new()
            self._out = memoryview(self._frame.decompress(data))
            if self._frame.eof:
                self._in = self._frame.unused_data
                self._frame = None
        size = min(len(buffer), len(self._out))
        buffer[:size] = self._out[:size]
        self._out = self._out[size:]
        return size


def expand(path: str) -> Path:
    """A path with ~ replaced by the user's home; unchanged if there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@contextlib.contextmanager
def readable(file: File) -> Iterator[None]:
    """Turn the exceptions of opening and decompressing a file into an InputError."""
    try:
        yield
    except PermissionError:
        raise InputError(
            "permission denied",
            where=file.name,
            expected="a file that this user may read",
            remedy=f"chmod +r {file.path}",
        ) from None
    except EOFError:
        raise _corrupt(file, "it ends too early") from None
    except (OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) else None  # the system's
        if isinstance(error, UnicodeError) or not (file.compression or reason):
            raise
        if not reason:
            raise _corrupt(file, str(error)) from None
        raise InputError(
            f"the file cannot be read: {reason}",
            where=file.name,
            expected="a file that can be read completely",
            remedy="check the file and the disk, or copy it elsewhere",
        ) from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # zstandard is imported only where it is used
            raise
        raise _corrupt(file, str(error)) from None


def _corrupt(file: File, reason: str) -> InputError:
    return InputError(
        f"the compressed file cannot be read: {reason}",
        where=file.name,
        expected=f"a complete {file.compression} file",
        remedy="copy or download it again",
    )


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically, even if the machine loses power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """Flush a file's content, or a folder's list of names, to the disk.

    Raises:
        OSError: If that fails, e.g. because the disk is full.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # unsupported for folders
            raise
    finally:
        os.close(descriptor)
