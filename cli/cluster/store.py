"""A folder in an object store, or on a disk: what cluster runs are read from and written to."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.components import uris
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import remote
from kfp_finetune.components.load_data.readers.remote_errors import failure

_EXTRAS = {"s3": "s3", "gs": "gcs"}
_SCHEMES = ("s3", "gs", "file")


@dataclass(frozen=True)
class Stored:
    """A file of a store.

    Attributes:
        name: Its path below the folder that was listed.
        path: Its path as the store knows it.
        size: In bytes.
        tag: What tells this content from another; "" where the store does not say.
    """

    name: str
    path: str
    size: int
    tag: str


class Store:
    """A folder in a store.

    Args:
        uri: Its URI.
        files: The fsspec filesystem.
    """

    def __init__(self, uri: str, files: Any) -> None:
        self._uri = uri.rstrip("/")
        self._files = files
        self._root = files._strip_protocol(uri).rstrip("/")
        self._scheme = uri.partition("://")[0].lower()

    @classmethod
    def open(cls, uri: str) -> Store:
        """Open a folder by its URI: s3://, minio:// (which speaks S3), gs://, file:// or a path.

        Raises:
            InputError: If it is none of these, or what reads it is not installed.
        """
        name = uris.without_secrets(uri)
        if not uris.is_uri(uri):
            uri = "file://" + os.path.abspath(uri)  # noqa: PTH100
        uri = uri.partition("?")[0]  # KFP's bucket options
        if uri.startswith("minio://"):
            uri = "s3://" + uri.removeprefix("minio://")
        scheme = uri.partition("://")[0].lower()
        if scheme not in _SCHEMES or not uri.partition("://")[2].strip("/"):
            raise InputError(
                "not a valid storage URI",
                where=name,
                expected="s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
                remedy="check the address",
            )
        try:
            return cls(uri, remote.filesystem(scheme))
        except ImportError:
            raise InputError(
                f"what reads {scheme}:// is not installed",
                where=name,
                expected=f"the extra [{_EXTRAS.get(scheme, 's3')}]",
                remedy=f"pip install 'kfp-finetune[{_EXTRAS.get(scheme, 's3')}]'",
            ) from None

    def uri(self, below: str) -> str:
        """The URI of something in it."""
        return f"{self._uri}/{below}"

    def files(self, below: str = "", *, itself: bool = False) -> list[Stored]:
        """All files below a folder in it, by name; none if it is not there.

        Args:
            below: The folder.
            itself: Whether a file under that very name is one of them, called "".

        Raises:
            InputError: If a file's name leads out of the folder, or the store cannot be read.
        """
        root = self._path(below)
        with self._explained():
            try:
                found = self._files.find(root, detail=True)
            except FileNotFoundError:
                return []
        return [
            Stored(
                self._below(path, root) if path != root else "",
                path,
                int(info["size"]),
                str(info.get("ETag") or info.get("md5Hash") or info.get("mtime") or ""),
            )
            for path, info in sorted(found.items())
            if not path.endswith("/") and (path != root or (itself and info["type"] == "file"))
        ]

    def folders(self, below: str = "") -> list[str]:
        """The names of the folders in a folder of it; none if it is not there."""
        with self._explained():
            try:
                found = self._files.ls(self._path(below), detail=True)
            except FileNotFoundError:
                return []
        return sorted(
            posixpath.basename(entry["name"].rstrip("/"))
            for entry in found
            if entry["type"] == "directory"
        )

    def put(self, file: Path, below: str) -> None:
        """Upload a file."""
        with self._explained():
            if self._scheme == "file":
                Path(self._path(below)).parent.mkdir(parents=True, exist_ok=True)
            self._files.put_file(str(file), self._path(below))

    def get(self, file: Stored, target: Path) -> None:
        """Download a file: whole under its name, or not there.

        Raises:
            InputError: If it cannot be had, or has another size than the store said.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        try:
            with self._explained():
                self._files.get_file(file.path, str(partial))
            if partial.stat().st_size != file.size:
                raise InputError(
                    f"{partial.stat().st_size:,} bytes came of {file.size:,}",
                    where=uris.without_secrets(f"{self._scheme}://{file.path}"),
                    expected="a file that is not being written",
                    remedy="try again",
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def read(self, file: Stored) -> bytes:
        """A file's content."""
        with self._explained():
            content: bytes = self._files.cat_file(file.path)
            return content

    def _below(self, path: str, root: str) -> str:
        """A file's path below a folder. A key is any text, and may climb out of it on a disk."""
        name = path.removeprefix(f"{root}/")
        if name == path or name.startswith("/") or ".." in name.split("/"):
            raise InputError(
                "a file's name leads out of its folder",
                where=uris.without_secrets(f"{self._scheme}://{path}"),
                expected="names without '..' that do not start with '/'",
                remedy="delete or rename that file in the store",
            )
        return name

    def _path(self, below: str) -> str:
        return posixpath.join(self._root, below).rstrip("/")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what a store raises into one sentence."""
        try:
            yield
        except (InputError, FileNotFoundError):
            raise
        except Exception as error:  # every store and its libraries have exceptions of their own
            raise failure(self._scheme, uris.without_secrets(self._uri), error) from None
