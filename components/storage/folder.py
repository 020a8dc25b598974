"""List, read, write and lock files of a folder on this disk or in an object store."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage import uris
from kfp_finetune.components.storage.downloads import path_below
from kfp_finetune.components.storage.errors import failure, not_installed
from kfp_finetune.components.storage.files import flush, write_text
from kfp_finetune.components.storage.schemes import BUCKETS, SCHEMES, open_filesystem, scheme_of


@dataclass(frozen=True)
class Stored:
    """A file in a folder.

    Attributes:
        name: Its path relative to the listed folder.
        path: Its path in the filesystem.
        size: Its size in bytes.
        tag: Identifies its content; "" if the store has no such identifier.
    """

    name: str
    path: str
    size: int
    tag: str


class Folder:
    """A folder on this disk or in an object store, with the same methods for both.

    All methods raise the result of `explain` if the disk or the store fails, and those that read a
    file raise FileNotFoundError if it does not exist.

    Args:
        location: A path, or s3://, minio:// (which speaks S3), gs:// or file://.
        explain: Turns the exception of a disk or store into an InputError.
        open_files: Opens the filesystem of a scheme. For many folders, one that keeps the opened
            ones: a client of a store takes half a second of processor time to create.

    Attributes:
        name: The location without secrets.
        local: The path, if it is on this disk.

    Raises:
        InputError: If the location is not supported, or its package is not installed.
    """

    def __init__(
        self,
        location: str,
        explain: Callable[[Exception], InputError] | None = None,
        open_files: Callable[[str], Any] = open_filesystem,
    ) -> None:
        self.name = uris.without_secrets(location)
        uri = uris.with_secrets(location).partition("?")[0]  # KFP's bucket options
        if not uris.is_uri(uri):
            uri = "file://" + os.path.abspath(location)  # noqa: PTH100
        if uri.startswith("minio://"):
            uri = "s3://" + uri.removeprefix("minio://")
        self.scheme = scheme_of(uri)
        if self.scheme not in (*BUCKETS, "file") or not uri.partition("://")[2].strip("/"):
            raise InputError(
                "not a valid storage URI",
                where=self.name,
                expected="s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
                remedy="check the address",
            )
        self._explain = explain or (lambda error: failure(self.scheme, self.name, error))
        try:
            self._files = open_files(self.scheme)
        except ImportError:
            raise not_installed(self.scheme, self.name) from None
        self._uri = uri.rstrip("/")
        self._root = self._files._strip_protocol(uri).rstrip("/")
        self.local = Path(self._root) if self.scheme == "file" else None

    def uri(self, below: str) -> str:
        """The URI of a file in it."""
        return f"{self._uri}/{below}"

    def make(self) -> None:
        """Create the folder if it is on this disk."""
        with self._explained():
            if self.local is not None:
                self.local.mkdir(parents=True, exist_ok=True)

    def files(self, below: str = "", *, itself: bool = False) -> list[Stored]:
        """All files below a sub-folder, by name; none if it does not exist.

        Args:
            below: The sub-folder.
            itself: True to include a file with exactly that name, under the name "".

        Raises:
            InputError: If a file's name leads out of the folder.
        """
        root = self._path(below)
        try:
            with self._explained(reading=True):
                found = self._files.find(root, detail=True)
        except FileNotFoundError:
            return []
        return [
            Stored(
                path_below(path, root, self.scheme) if path != root else "",
                path,
                int(info["size"]),
                str(info.get("ETag") or info.get("md5Hash") or info.get("mtime") or ""),
            )
            for path, info in sorted(found.items())
            if not path.endswith("/") and (path != root or (itself and info["type"] == "file"))
        ]

    def folders(self, below: str = "") -> list[str]:
        """The names of the folders in a sub-folder; none if it does not exist."""
        try:
            with self._explained(reading=True):
                found = self._files.ls(self._path(below), detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            posixpath.basename(entry["name"].rstrip("/"))
            for entry in found
            if entry["type"] == "directory"
        )

    def exists(self, below: str) -> bool:
        """Return True if there is a file or folder with this name."""
        with self._explained():
            return bool(self._files.exists(self._path(below)))

    def read(self, below: str) -> bytes:
        """A file's content."""
        with self._explained(reading=True):
            content: bytes = self._files.cat_file(self._path(below))
            return content

    def write(self, below: str, text: str) -> None:
        """Write a text file atomically."""
        with self._explained():
            if self.local is not None:
                write_text(self.local / below, text)
            else:
                self._files.pipe_file(self._path(below), text.encode())

    def put(self, file: Path, below: str) -> None:
        """Copy a file into the folder; a file that already exists is only flushed to the disk."""
        with self._explained():
            if self.local is not None:
                target = self.local / below
                target.parent.mkdir(parents=True, exist_ok=True)
                if target == file:
                    flush(file)
                    return
            self._files.put_file(str(file), self._path(below))

    def get(self, file: Stored, target: Path) -> None:
        """Download a file atomically.

        Raises:
            InputError: If its size differs from the size that the store listed.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        try:
            with self._explained(reading=True):
                self._files.get_file(file.path, str(partial))
            if partial.stat().st_size != file.size:
                raise InputError(
                    f"{partial.stat().st_size:,} of {file.size:,} bytes were downloaded",
                    where=uris.without_secrets(f"{self.scheme}://{file.path}"),
                    expected="a file that is not being written",
                    remedy="try again",
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self, below: str) -> None:
        """Remove a file, or a folder with its contents, if it exists."""
        with self._explained(), suppress(FileNotFoundError):
            self._files.rm(self._path(below), recursive=True)

    def version(self, below: str) -> tuple[bytes, str] | None:
        """A file's content, and the tag for `write_if`; None if it does not exist.

        The tag is read first: if the file is written in between, `write_if` rejects the tag.
        """
        path = self._path(below)
        try:
            with self._explained(reading=True):
                tag = SCHEMES[self.scheme].tag(self._files.info(path), path)
                return self._files.cat_file(path), tag
        except FileNotFoundError:
            return None

    def write_if(self, below: str, content: bytes, tag: str | None) -> bool:
        """Write a file of an object store on a condition that the store checks.

        Args:
            below: The file.
            content: Its new content.
            tag: The version that it must still have; None if it must not exist.

        Returns:
            True if the condition held and the file was written.
        """
        write = SCHEMES[self.scheme].write_if
        assert write is not None, self.scheme  # noqa: S101 - disks have other locks
        with self._explained():
            return write(self._files, self._path(below), content, tag)

    def _path(self, below: str) -> str:
        return posixpath.join(self._root, below).rstrip("/")

    @contextmanager
    def _explained(self, *, reading: bool = False) -> Iterator[None]:
        """Turn exceptions into InputErrors; when reading, a missing file is FileNotFoundError."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # every library has its own exceptions
            if reading and isinstance(error, FileNotFoundError | NotADirectoryError):
                raise FileNotFoundError(str(error)) from None
            raise self._explain(error) from None
