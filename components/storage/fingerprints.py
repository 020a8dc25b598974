"""Fingerprints (SHA-256) of the contents of files, folders, patterns and URIs."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp_finetune.components.storage.downloads import Wanted, fetch, is_supported, list_files
from kfp_finetune.components.storage.schemes import (
    BUCKETS,
    SCHEMES,
    WEB,
    open_filesystem,
    scheme_of,
)
from kfp_finetune.components.storage.uris import with_secrets, without_secrets

_CHUNK = 1 << 20


def of_path(path: Path) -> str:
    """The SHA-256 of a file's content, or of a folder's names and contents without hidden files.

    Raises:
        OSError: If a part of it cannot be read.
    """
    if not path.is_dir():
        if not path.is_file():
            raise OSError(f"{path} is not a file")  # a pipe can be read only once
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    seen: set[str] = set()
    for root, folders, files in os.walk(path, followlinks=True):  # the same as what the steps read
        real = os.path.realpath(root)
        if real in seen:  # circular links
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if any(Path(root, f).resolve() in path.resolve().parents for f in folders):
            raise OSError(f"{path} contains a link to a folder above it")  # an endless walk
        for name in sorted(f for f in files if not f.startswith(".")):
            file_path = Path(root, name)
            digest.update(file_path.relative_to(path).as_posix().encode() + b"\0")
            digest.update(of_path(file_path).encode() + b"\0")
    return digest.hexdigest()


def of_pattern(pattern: str) -> str:
    """The SHA-256 of the names and contents of all files that match a pattern."""
    files = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    try:
        parts = [(file.name, of_path(file)) for file in files]
    except OSError:
        return ""
    return hashlib.sha256(repr(parts).encode()).hexdigest() if parts else ""


def of_uri(
    uri: str,
    wanted: Wanted,
    note: Callable[[str], None] = lambda _: None,
    *,
    fetched: bool = False,
) -> str:
    """Identify the content behind a URI.

    The fingerprint is computed from the store's information on every file: a strong ETag on the
    web; the ETag in S3; the MD5, or CRC32C and generation, in Google Cloud Storage; the blob's id
    on the Hub. If a web server sends no strong ETag, the file is downloaded and hashed.

    Args:
        uri: A file, a folder or a pattern.
        wanted: The files of a folder or pattern that are read.
        note: Called with the reason before a file is downloaded to be hashed.
        fetched: True if `fetch` may have downloaded the file; its copy is then hashed.

    Returns:
        A SHA-256; "" if the content cannot be identified, in which case `fetch` raises the reason.
    """
    scheme = scheme_of(uri)
    if not is_supported(uri):
        return ""
    hidden, uri = uri, with_secrets(uri)
    try:
        files = open_filesystem(scheme)
        if scheme in WEB:
            part = SCHEMES[scheme].tag(files.info(uri), uri)
            if not part:
                part = _hash(files, hidden, wanted, note, fetched=fetched)
        else:
            found = list_files(files, uri, wanted).files
            tags = [(path, SCHEMES[scheme].tag(info, path)) for path, (_, info) in found.items()]
            if not all(tag for _, tag in tags):
                return ""
            part = repr(sorted(tags))
    except Exception:  # of any library; the step that reads the data reports it
        return ""
    return hashlib.sha256(repr([part]).encode()).hexdigest()


def of_folder(uri: str, wanted: Wanted) -> str:
    """The fingerprint of a folder in a bucket; "" for other URIs."""
    scheme = scheme_of(uri)
    if scheme not in BUCKETS:
        return ""
    try:
        listing = list_files(open_filesystem(scheme), with_secrets(uri), wanted)
        tags = sorted(
            (below, SCHEMES[scheme].tag(info, below)) for below, info in listing.files.values()
        )
    except Exception:  # the step that reads the folder reports the reason
        return ""
    if not all(tag for _, tag in tags):
        return ""
    return hashlib.sha256(repr(tags).encode()).hexdigest()


def _hash(
    files: Any, uri: str, wanted: Wanted, note: Callable[[str], None], *, fetched: bool
) -> str:
    """The SHA-256 of a file of a web server; no copy is kept."""
    if fetched:
        file = fetch(uri, wanted).path.open("rb")
    else:
        note(f"downloading {without_secrets(uri)} to hash it: the server sends no strong ETag")
        file = files.open(with_secrets(uri), block_size=0)  # a stream, without ranges
    digest = hashlib.sha256()
    with file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
