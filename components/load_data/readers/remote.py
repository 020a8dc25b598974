"""Data behind a URI: downloaded once to a folder that is removed when the process ends.

Data is read two or three times (to learn how, for the labels, to tokenize), which is why it is not
read over the network. Its fingerprint is what the store says of the content, where it says it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import hub_client
from kfp_finetune.components.load_data.readers.files import is_data
from kfp_finetune.components.load_data.readers.remote_errors import failure, nothing
from kfp_finetune.components.load_data.readers.unpacking import new_folder
from kfp_finetune.components.uris import SCHEMES, with_secrets, without_secrets

EXTRAS = {"s3": "s3", "gs": "gcs"}
_BUCKETS = ("s3", "gs")
_WEB = ("http", "https")
_STRONG_ETAG = re.compile(r'"[^"]+"')  # a weak one, W/"...", stands for more than one content
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """What a URI named, on this disk.

    Attributes:
        path: The file, or the folder.
        name: The URI without secrets.
        is_glob: Whether the folder holds the files that a pattern matched.
    """

    path: Path
    name: str
    is_glob: bool = False


@dataclass(frozen=True)
class _Listing:
    """The files that a URI names: for each, where it is downloaded to and what the store says."""

    kind: str  # "file", "pattern" or "folder"
    files: dict[str, tuple[str, dict[str, Any]]]


@cache
def fetch(uri: str) -> Fetched:
    """Download what a URI names: a file, a folder, or the files that a pattern matches.

    Raises:
        InputError: If it cannot be reached, or there is nothing.
    """
    scheme = _scheme(uri)
    name = without_secrets(uri)
    if scheme not in SCHEMES or "::" in uri:
        raise InputError(
            f"there is no reading from {scheme}://",
            where=name,
            expected="one of " + ", ".join(f"{known}://" for known in SCHEMES),
            remedy="download it, and name the file",
        )
    try:
        return _fetch(filesystem(scheme), with_secrets(uri), name)
    except InputError:
        raise
    except ImportError:
        extra = EXTRAS.get(scheme, "train")
        raise InputError(
            f"what reads {scheme}:// is not installed",
            where=name,
            expected=f"the extra [{extra}]",
            remedy=f"pip install 'kfp-finetune[{extra}]'",
        ) from None
    except Exception as error:  # every store and its libraries have exceptions of their own
        raise failure(scheme, name, error) from None


def fingerprint(
    uri: str, note: Callable[[str], None] = lambda _: None, *, fetched: bool = False
) -> str:
    """What tells the content behind a URI from any other content there was or will be behind it.

    Made of what the store says of every file: on the web a strong ETag; in S3 the ETag; in Google
    Cloud Storage the MD5, or CRC32C and generation; on the Hub the id of the blob. A web server
    that gives no such ETag has its file read and hashed.

    Args:
        uri: A file, a folder or a pattern.
        note: Is told why, before something is downloaded to be hashed.
        fetched: Whether `fetch` has downloaded it: then that copy is hashed, where one is.

    Returns:
        A SHA-256; "" if it cannot be told, which `fetch` will say the reason of.
    """
    scheme = _scheme(uri)
    if scheme not in SCHEMES or "::" in uri:
        return ""
    hidden, uri = uri, with_secrets(uri)
    try:
        store = filesystem(scheme)
        if scheme in _WEB:
            parts = [_tag_of_web(store.info(uri), uri)]
            if not parts[0]:
                parts = [_hash(store, hidden, note, fetched=fetched)]
        else:
            files = _list(store, uri, without_secrets(uri)).files
            tags = [(path, tag(scheme, info)) for path, (_, info) in sorted(files.items())]
            if not all(tag for _, tag in tags):
                return ""
            parts = [repr(tags)]
    except Exception:  # as many kinds as there are stores; reading it will say which
        return ""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _scheme(uri: str) -> str:
    return uri.partition("://")[0].lower()


def filesystem(scheme: str) -> Any:
    """The fsspec filesystem of a URI's scheme, with time limits that suit a person who waits."""
    import fsspec

    options: dict[str, Any] = {}
    if scheme in _WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        options = {"client_kwargs": {"trust_env": True, "timeout": timeout}}
    elif scheme == "hf":
        hub_client.prepare()
    elif scheme == "s3":
        options = {"config_kwargs": {"connect_timeout": 15, "retries": {"max_attempts": 3}}}
    if scheme in _BUCKETS:
        options["use_listings_cache"] = False  # a part of a folder once listed hides the rest
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints tracebacks as it retries
    return fsspec.filesystem(scheme, skip_instance_cache=True, **options)


def _fetch(filesystem: Any, uri: str, name: str) -> Fetched:
    folder = new_folder()
    if _scheme(uri) in _WEB:
        path = folder / (PurePosixPath(unquote(urlsplit(uri).path)).name or "data")
        filesystem.get_file(uri, str(path))
        return Fetched(path, name)
    listing = _list(filesystem, uri, name)
    for source, (target, _) in listing.files.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        filesystem.get_file(source, str(path))
    if listing.kind == "file":
        return Fetched(path, name)
    return Fetched(folder, name.rstrip("/"), is_glob=listing.kind == "pattern")


def _list(filesystem: Any, uri: str, name: str) -> _Listing:
    """Look up what a URI names in a store that knows folders.

    Raises:
        InputError: If a pattern or a folder has no data files.
    """
    if any(mark in uri for mark in "*?["):
        found = filesystem.glob(uri, detail=True)
        matches = sorted(path for path in found if is_data(Path(path)))
        if not matches:
            raise nothing(name, "no data file matches")
        return _Listing(
            "pattern",  # the same name may be in several folders
            {
                path: (f"{i:06}/{PurePosixPath(path).name}", found[path])
                for i, path in enumerate(matches)
            },
        )
    info = filesystem.info(uri)
    if info["type"] != "directory":
        return _Listing("file", {uri: (PurePosixPath(uri).name, info)})
    root = filesystem._strip_protocol(uri).rstrip("/")
    found = {
        path: (str(PurePosixPath(path).relative_to(root)), info)
        for path, info in filesystem.find(root, detail=True).items()
        if is_data(Path(path))
    }
    if not found:
        raise nothing(name, "the folder holds no data files")
    return _Listing("folder", found)


def tag(scheme: str, info: dict[str, Any]) -> str:
    """What a store says of a file that only this content has; "" if nothing."""
    if scheme == "s3":
        return f"{info['ETag']} {info['size']}" if info.get("ETag") else ""
    if scheme == "hf":
        return str(info.get("blob_id") or "")
    if info.get("md5Hash"):  # composite objects have none
        return str(info["md5Hash"])
    # A CRC can be met by chance, and every write has a generation of its own.
    return f"{info['crc32c']} {info['generation']}" if {"crc32c", "generation"} <= set(info) else ""


def _tag_of_web(info: dict[str, Any], uri: str) -> str:
    """The address that answered, and its ETag if that is a strong one; else "".

    An ETag is one address's. Behind a redirect to an address with a query, mostly a signature that
    is another one each time, it is not relied upon.
    """
    parts = urlsplit(info["url"])
    etag = info.get("ETag", "")
    if not _STRONG_ETAG.fullmatch(etag) or parts.query not in ("", urlsplit(uri).query):
        return ""
    return f"{without_secrets(info['url'])} {etag}"


def _hash(filesystem: Any, uri: str, note: Callable[[str], None], *, fetched: bool) -> str:
    """The SHA-256 of a file of a web server; nothing is left on this disk."""
    if fetched:
        file = fetch(uri).path.open("rb")
    else:
        note(f"downloading {without_secrets(uri)}: its server does not tell one content by an ETag")
        # A stream: not every server serves parts.
        file = filesystem.open(with_secrets(uri), block_size=0)
    digest = hashlib.sha256()
    with file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
