"""Local files that hold data: what their names say, and their bytes, decompressed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from kfp_finetune.components.errors import InputError

CONLL_FORMATS = (".conll", ".conllu", ".iob", ".iob2", ".bio")
FORMATS = (
    *(".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".txt"),
    *CONLL_FORMATS,
)
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
ARCHIVE = ".zip"
CHUNK = 1 << 20
_NOT_DATA = re.compile(r"(readme|licen[cs]e|notice|changelog|citation|source|requirements)\b", re.I)
_SIGNATURES = {
    b"\x1f\x8b": ("gzip data", ".gz"),
    b"BZh": ("bzip2 data", ".bz2"),
    b"\xfd7zXZ\x00": ("xz data", ".xz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard data", ".zst"),
    b"PK\x03\x04": ("a zip archive or an Office document", ".zip"),
    b"PAR1": ("a Parquet file", ".parquet"),
    b"ARROW1": ("an Arrow file", ".arrow"),
    b"%PDF": ("a PDF document", ".pdf"),
    b"SQLite format 3": ("an SQLite database", ".sqlite"),
    b"\xd0\xcf\x11\xe0": ("an Office document", ".xls"),
}


@dataclass(frozen=True)
class File:
    """A file on this disk.

    Attributes:
        path: Where it lies.
        name: What the user calls it: a path, a URI, or a member of an archive.
    """

    path: Path
    name: str

    @property
    def compression(self) -> str:
        """The suffix of its compression, "" if there is none."""
        suffix = self.path.suffix.lower()
        return suffix if suffix in COMPRESSIONS else ""

    @property
    def format(self) -> str:
        """The suffix of its format; an unknown one is given as it is."""
        path = self.path.with_suffix("") if self.compression else self.path
        return path.suffix.lower()

    @property
    def stem(self) -> str:
        """Its name without suffixes."""
        path = self.path.with_suffix("") if self.compression else self.path
        return path.stem


def is_data(path: Path) -> bool:
    """Whether a file in a folder or an archive is taken for data."""
    file = File(path, path.name)
    known = file.format in FORMATS or path.suffix.lower() == ARCHIVE
    hidden = path.name.startswith((".", "_"))
    return known and not hidden and not (file.format == ".txt" and _NOT_DATA.match(path.name))


def unknown_format(file: File) -> InputError:
    """What is raised for a file of another kind."""
    sheet = file.format in (".xlsx", ".xls", ".ods")
    return InputError(
        f"{file.path.name} is of a kind that is not read",
        where=file.name,
        expected=f"a file ending in {', '.join(FORMATS)}, which may be compressed"
        f" ({', '.join((*COMPRESSIONS, ARCHIVE))})",
        remedy="save the sheet as CSV" if sheet else "convert it, or rename it to what it is",
    )


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
    """Decompresses frame after frame; unlike the library's own reader it notices a missing end."""

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
    """A path with the user's home for ~; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@contextlib.contextmanager
def readable(file: File) -> Iterator[None]:
    """Turn what opening and decompressing a file raises into an InputError."""
    try:
        yield
    except PermissionError:
        raise InputError(
            "the file may not be read: permission denied",
            where=file.name,
            expected="a file that this user may read",
            remedy=f"chmod +r {file.path}",
        ) from None
    except EOFError:
        raise _corrupt(file, "it ends too early") from None
    except (OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) else None  # the system's, if any
        if isinstance(error, UnicodeError) or not (file.compression or reason):
            raise
        if not reason:
            raise _corrupt(file, str(error)) from None
        raise InputError(
            f"the file cannot be read: {reason}",
            where=file.name,
            expected="a file that can be read from its beginning to its end",
            remedy="check the file and the disk, or copy it elsewhere",
        ) from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # not imported unless it is used
            raise
        raise _corrupt(file, str(error)) from None


def _corrupt(file: File, reason: str) -> InputError:
    return InputError(
        f"the compressed file cannot be read: {reason}",
        where=file.name,
        expected=f"a whole {file.compression} file",
        remedy="copy or download it again",
    )


def check_signature(file: File, head: bytes) -> None:
    """Refuse a file of text that begins like something else.

    Raises:
        InputError: If it does.
    """
    for signature, (what, suffix) in _SIGNATURES.items():
        if head.startswith(signature):
            usable = suffix in (*FORMATS, *COMPRESSIONS, ARCHIVE)
            kept = file.path.name if suffix in COMPRESSIONS else file.stem
            raise InputError(
                f"the file is {what}, not text",
                where=file.name,
                expected=f"what the suffix {file.format} says",
                remedy=f"rename it to {kept}{suffix}" if usable else "save it as CSV",
            )
