"""Reads a cluster's store: directly, or through Kubeflow's UI, which has the keys.

The store itself comes first: it lists what there is, and sends only what is wanted. Where it cannot
be reached from here, as without its keys or its address, the UI's server passes its files on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.route import Route
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.folder import Folder, Stored
from kfp_finetune.components.temporary import temporary_folder

Result = TypeVar("Result")
_ADDRESSES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class Item:
    """A file, or a folder that can only be had as a whole.

    Attributes:
        name: Its path below what was asked for; "" for that itself.
        size: In bytes; None if it is not known before it is there.
        tag: What tells this content from another; "" if nothing does.
        get: Puts it at a path: whole, or not at all. Raises FileNotFoundError if it is not there.
    """

    name: str
    size: int | None
    tag: str
    get: Callable[[Path], None]


class Sources:
    """The stores of a cluster.

    Args:
        cluster: Whose.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._route = Route(cluster)
        self._by_route: dict[str, bool] = {}

    def items(self, uri: str) -> list[Item]:
        """Return the file at a URI, or the files of a folder; empty if there is nothing.

        What is read through the UI is one item, which may turn out not to be there.

        Raises:
            InputError: If neither the store nor the UI can be read.
        """

        def listed() -> list[Item]:
            store = Folder(uri)
            return [_item(store, file) for file in store.files(itself=True)]

        def routed() -> list[Item]:
            return [Item("", None, "", lambda target: self._route.get(uri, target))]

        return self._either(uri, listed, routed)

    def folders(self, uri: str) -> list[str]:
        """The names of the folders at a URI; empty if there are none, or the UI is read."""
        return self._either(uri, lambda: Folder(uri).folders(), lambda: [])

    def read(self, uri: str) -> bytes | None:
        """A file's content; None if it is not there."""
        with temporary_folder() as folder:
            target = Path(folder, "file")
            for item in self.items(uri):
                try:
                    item.get(target)
                except FileNotFoundError:
                    return None
                return target.read_bytes() if target.is_file() else None
        return None

    def _either(
        self, uri: str, direct: Callable[[], Result], routed: Callable[[], Result]
    ) -> Result:
        """Ask the store, or the UI where the store cannot be read; once for each bucket."""
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
    """Check that a store of the cluster's own can be found: without an address, S3 is Amazon's."""
    if uri.startswith("minio://") and not any(map(os.environ.get, _ADDRESSES)):
        raise InputError(
            "the address of the cluster's own store is not known here",
            where=uri,
            expected="the address and the keys of the store, or Kubeflow's UI as --host",
            remedy="set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the"
            " UI's address with --host: it sends the files without them",
        )


def _item(store: Folder, file: Stored) -> Item:
    return Item(file.name, file.size, file.tag, lambda target: store.get(file, target))
