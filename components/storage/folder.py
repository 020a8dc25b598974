"""A folder on this disk or in an object store: listing, reading, writing and locking its files."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

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
        name: Its path below the folder that was listed.
        path: Its path in the filesystem.
        size: In bytes.
        tag: Identifies this content; "" where the store has nothing that does.
    """

    name: str
    path: str
    size: int
    tag: str


class Folder:
    """A folder, with one set of methods wherever it is.

    All methods raise the result of `explain` if the disk or the store fails, and those that read a
    file raise FileNotFoundError if it does not exist.

    Args:
        location: A path, or s3://, minio:// (which speaks S3), gs:// or file://.
        explain: Turns the exception of a disk or store into an InputError.

    Attributes:
        name: The location without secrets.
        local: The path, if it is on this disk.

    Raises:
        InputError: If the location is none of these, or its package is not installed.
    """

    def __init__(
        self, location: str, explain: Callable[[Exception], InputError] | None = None
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
            self._files = open_filesystem(self.scheme)
        except ImportError:
            raise not_installed(self.scheme, self.name) from None
        self._uri = uri.rstrip("/")
        self._root = self._files._strip_protocol(uri).rstrip("/")
        self.local = Path(self._root) if self.scheme == "file" else None

    def uri(self, below: str) -> str:
        """The URI of a file in it."""
        return f"{self._uri}/{below}"

    def make(self) -> None:
        """Create it, if it is on this disk."""
        with self._explained():
            if self.local is not None:
                self.local.mkdir(parents=True, exist_ok=True)

    def files(self, below: str = "", *, itself: bool = False) -> list[Stored]:
        """All files below a folder in it, by name; none if it does not exist.

        Args:
            below: The folder.
            itself: Whether to include a file with exactly that name, which is then called "".

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
        """The names of the folders in a folder of it; none if it does not exist."""
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
        """Whether there is a file or folder of this name."""
        with self._explained():
            return bool(self._files.exists(self._path(below)))

    def read(self, below: str) -> bytes:
        """A file's content."""
        with self._explained(reading=True):
            content: bytes = self._files.cat_file(self._path(below))
            return content

    def write(self, below: str, text: str) -> None:
        """Write a text file: it has its old content or all of the new."""
        with self._explained():
            if self.local is not None:
                write_text(self.local / below, text)
            else:
                self._files.pipe_file(self._path(below), text.encode())

    def put(self, file: Path, below: str) -> None:
        """Copy a file into it; one that is there already is only flushed to the disk."""
        with self._explained():
            if self.local is not None:
                target = self.local / below
                target.parent.mkdir(parents=True, exist_ok=True)
                if target == file:
                    flush(file)
                    return
            self._files.put_file(str(file), self._path(below))

    def get(self, file: Stored, target: Path) -> None:
        """Download a file: complete under its name, or not at all.

        Raises:
            InputError: If it has another size than the store listed.
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
                    expected="a file that nobody is writing",
                    remedy="try again",
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self, below: str) -> None:
        """Remove a file, or a folder with all that is in it; nothing if it does not exist."""
        with self._explained(), suppress(FileNotFoundError):
            self._files.rm(self._path(below), recursive=True)

    def version(self, below: str) -> tuple[bytes, str] | None:
        """A file's content, and the tag for `write_if`; None if it does not exist.

        The tag is asked for first: if the file is written in between, `write_if` refuses the tag.
        """
        path = self._path(below)
        try:
            with self._explained(reading=True):
                tag = SCHEMES[self.scheme].tag(self._files.info(path), path)
                return self._files.cat_file(path), tag
        except FileNotFoundError:
            return None

    def write_if(self, below: str, content: bytes, tag: str | None) -> bool:
        """Write a file of an object store, on a condition that the store itself checks.

        Args:
            below: The file.
            content: Its new content.
            tag: The version that it must still have; None: it must not exist.

        Returns:
            Whether the condition held, and it was written.
        """
        write = SCHEMES[self.scheme].write_if
        assert write is not None, self.scheme  # noqa: S101 - disks have locks of their own
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
        except Exception as error:  # every store and its libraries have exceptions of their own
            if reading and isinstance(error, FileNotFoundError | NotADirectoryError):
                raise FileNotFoundError(str(error)) from None
            raise self._explain(error) from None
