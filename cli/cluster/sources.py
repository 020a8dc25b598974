"""Read a cluster's store, directly or through Kubeflow's UI, which has the keys.

The store itself is preferred, because it can list files and send single ones. If it cannot be
reached, e.g. without its keys or address, its files are read through the UI's server.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.route import Route
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.folder import Folder, Stored
from kfp_finetune.components.storage.schemes import open_filesystem
from kfp_finetune.components.temporary import temporary_folder

Result = TypeVar("Result")
_ADDRESSES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class Item:
    """A file, or a folder that can only be downloaded completely.

    Attributes:
        name: Its path relative to the requested URI; "" for the URI itself.
        size: Its size in bytes; None if unknown before the download.
        tag: Identifies its content; "" if the store has no such identifier.
        get: Downloads it to a path atomically. Raises FileNotFoundError if it does not exist.
    """

    name: str
    size: int | None
    tag: str
    get: Callable[[Path], None]


class Sources:
    """The stores of a cluster.

    Args:
        cluster: The cluster.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._route = Route(cluster)
        self._by_route: dict[str, bool] = {}
        self._open_files = cache(open_filesystem)

    def items(self, uri: str) -> list[Item]:
        """Return the file at a URI, or the files of a folder; empty if it does not exist.

        Through the UI, this is a single item, which may turn out not to exist.

        Raises:
            InputError: If neither the store nor the UI can be read.
        """

        def listed() -> list[Item]:
            store = self._folder(uri)
            return [_item(store, file) for file in store.files(itself=True)]

        def routed() -> list[Item]:
            return [Item("", None, "", lambda target: self._route.get(uri, target))]

        return self._either(uri, listed, routed)

    def folders(self, uri: str) -> list[str]:
        """The names of the folders at a URI; empty if there are none, or with the UI."""
        return self._either(uri, lambda: self._folder(uri).folders(), lambda: [])

    def read(self, uri: str) -> bytes | None:
        """A file's content; None if it does not exist."""
        with temporary_folder() as folder:
            target = Path(folder, "file")
            for item in self.items(uri):
                try:
                    item.get(target)
                except FileNotFoundError:
                    return None
                return target.read_bytes() if target.is_file() else None
        return None

    def _folder(self, uri: str) -> Folder:
        return Folder(uri, open_files=self._open_files)

    def _either(
        self, uri: str, direct: Callable[[], Result], routed: Callable[[], Result]
    ) -> Result:
        """Choose the store, or the UI if the store cannot be read; once for each bucket."""
        bucket = "/".join(uri.split("/")[:3])
        if not self._by_route.get(bucket):
            try:
                _check_address(uri)
                return direct()
            except InputError:
                if not self._route.is_there:
                    raise
        self._by_route[bucket] = True
        return routed()


def _check_address(uri: str) -> None:
    """Check that the address of the cluster's own store is set; by default, S3 is Amazon's."""
    if uri.startswith("minio://") and not any(map(os.environ.get, _ADDRESSES)):
        raise InputError(
            "the address of the cluster's own store is not set",
            where=uri,
            expected="the address and the keys of the store, or Kubeflow's UI as --host",
            remedy="set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the"
            " UI's address with --host, which sends the files without them",
        )


def _item(store: Folder, file: Stored) -> Item:
    return Item(file.name, file.size, file.tag, lambda target: store.get(file, target))
