"""Folders in a store that are downloaded as they are: pretrained models."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import remote
from kfp_finetune.components.load_data.readers.remote_errors import failure, nothing
from kfp_finetune.components.load_data.readers.unpacking import new_folder
from kfp_finetune.components.uris import with_secrets, without_secrets

SCHEMES = ("s3", "gs")


@cache
def fetch(uri: str, left_out: tuple[str, ...] = ()) -> Path:
    """Download a folder, once, to one that is removed when the process ends.

    Args:
        uri: s3://BUCKET/FOLDER or gs://BUCKET/FOLDER.
        left_out: Endings of files that are not needed.

    Raises:
        InputError: If it cannot be reached, or there is nothing.
    """
    name = without_secrets(uri)
    scheme = uri.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise InputError(
            f"there is no folder to download from {scheme}://",
            where=name,
            expected="s3:// or gs://",
            remedy="download it, and name the folder",
        )
    try:
        store, files = _list(scheme, uri)
        folder = new_folder()
        for path, (below, _) in files.items():
            if not below.endswith(left_out or ("\0",)):
                target = folder / below
                target.parent.mkdir(parents=True, exist_ok=True)
                store.get_file(path, str(target))
    except ImportError:
        raise InputError(
            f"what reads {scheme}:// is not installed",
            where=name,
            expected=f"the extra [{remote.EXTRAS[scheme]}]",
            remedy=f"pip install 'kfp-finetune[{remote.EXTRAS[scheme]}]'",
        ) from None
    except Exception as error:  # every store and its libraries have exceptions of their own
        raise failure(scheme, name, error) from None
    if not files:
        raise nothing(name, "there is nothing in this folder")
    return folder


def fingerprint(uri: str) -> str:
    """A SHA-256 of what the store says of every file in a folder; "" if it cannot be told."""
    scheme = uri.partition("://")[0].lower()
    if scheme not in SCHEMES:
        return ""
    try:
        _, files = _list(scheme, uri)
        tags = sorted((below, remote.tag(scheme, info)) for below, info in files.values())
    except Exception:  # reading it will say what is wrong
        return ""
    if not tags or not all(tag for _, tag in tags):
        return ""
    return hashlib.sha256(repr(tags).encode()).hexdigest()


def _list(scheme: str, uri: str) -> tuple[Any, dict[str, tuple[str, dict[str, Any]]]]:
    """The store, and the files: the path below the folder, and what the store says of each."""
    store = remote.filesystem(scheme)
    root = store._strip_protocol(with_secrets(uri)).rstrip("/")
    found = store.find(root, detail=True)
    below = {path: str(PurePosixPath(path).relative_to(root)) for path in found if path != root}
    return store, {path: (name, found[path]) for path, name in below.items() if ".." not in name}
