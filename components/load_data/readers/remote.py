"""Data behind a URI: downloaded once to a folder that is removed when the process ends.

Data is read two or three times (to learn how, for the labels, to tokenize), which is why it is not
read over the network. What a URI holds besides a place, a user's name or a signed query, is a
secret, and is in no message.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.files import is_data, new_folder

SCHEMES = ("https", "http", "s3", "gs", "hf", "file")
_EXTRAS = {"s3": "s3", "gs": "gcs"}
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_SECRET = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?:[^/\s@'\"]*@)?(?P<place>[^\s?#'\"]*)[?#]?[^\s'\")]*"
)
_STATUS = re.compile(r"\b([45]\d\d)\b")


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


def is_uri(dataset: str) -> bool:
    """Whether it names a place elsewhere, or a file by URI."""
    return bool(_URI.match(dataset))


def without_secrets(text: str) -> str:
    """A text whose URIs have neither user names, passwords nor queries."""
    return _SECRET.sub(lambda found: found["scheme"] + found["place"], text)


def local_path(uri: str) -> Path | None:
    """The path that a file:// URI names; None for other URIs.

    Raises:
        InputError: If it is no URI, or names nothing.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = None
    if parts is None or (not parts.path.strip("/") and not parts.netloc):
        raise InputError(
            "the URI names no file",
            where=without_secrets(uri),
            expected="a place and a path, e.g. https://host/data.csv or file:///data/data.csv",
            remedy="check the address",
        )
    return Path(unquote(parts.path)) if parts.scheme.lower() == "file" else None


@cache
def fetch(uri: str) -> Fetched:
    """Download what a URI names: a file, a folder, or the files that a pattern matches.

    Raises:
        InputError: If it cannot be reached, or there is nothing.
    """
    scheme = uri.partition("://")[0].lower()
    name = without_secrets(uri)
    if scheme not in SCHEMES or "::" in uri:
        raise InputError(
            f"there is no reading from {scheme}://",
            where=name,
            expected="one of " + ", ".join(f"{known}://" for known in SCHEMES),
            remedy="download it, and name the file",
        )
    try:
        return _fetch(filesystem(scheme), uri, name)
    except InputError:
        raise
    except ImportError:
        extra = _EXTRAS.get(scheme, "train")
        raise InputError(
            f"what reads {scheme}:// is not installed",
            where=name,
            expected=f"the extra [{extra}]",
            remedy=f"pip install 'kfp-finetune[{extra}]'",
        ) from None
    except Exception as error:  # every store and its libraries have exceptions of their own
        raise _failure(scheme, name, error) from None


def filesystem(scheme: str) -> Any:
    """The fsspec filesystem of a URI's scheme, with time limits that suit a person who waits."""
    import fsspec

    options: dict[str, Any] = {}
    if scheme in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        options = {"client_kwargs": {"trust_env": True, "timeout": timeout}}
    elif scheme == "s3":
        options = {"config_kwargs": {"connect_timeout": 15, "retries": {"max_attempts": 3}}}
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints tracebacks as it retries
    return fsspec.filesystem(scheme, skip_instance_cache=True, **options)


def _fetch(filesystem: Any, uri: str, name: str) -> Fetched:
    folder = new_folder()
    if uri.lower().startswith("http"):
        path = folder / (PurePosixPath(unquote(urlsplit(uri).path)).name or "data")
        filesystem.get_file(uri, str(path))
        return Fetched(path, name)
    if any(mark in uri for mark in "*?["):
        matches = sorted(path for path in filesystem.glob(uri) if is_data(Path(path)))
        if not matches:
            raise _nothing(name, "no data file matches")
        for i, match in enumerate(matches):  # the same name may be in several folders
            target = folder / f"{i:06}" / PurePosixPath(match).name
            target.parent.mkdir()
            filesystem.get_file(match, str(target))
        return Fetched(folder, name, is_glob=True)
    if filesystem.info(uri)["type"] != "directory":
        path = folder / PurePosixPath(uri).name
        filesystem.get_file(uri, str(path))
        return Fetched(path, name)
    root = filesystem._strip_protocol(uri).rstrip("/")
    found = [path for path in filesystem.find(root) if is_data(Path(path))]
    if not found:
        raise _nothing(name, "the folder holds no data files")
    for path in found:
        target = folder / PurePosixPath(path).relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        filesystem.get_file(path, str(target))
    return Fetched(folder, name.rstrip("/"))


def _nothing(name: str, found: str) -> InputError:
    return InputError(
        found, where=name, expected="data that is there", remedy="check the bucket and the path"
    )


def _failure(scheme: str, name: str, error: Exception) -> InputError:
    """What went wrong, said without repeating what the libraries say, which may hold secrets."""
    kind = type(error).__name__
    status = getattr(error, "status", None) or getattr(error, "code", None)
    if not isinstance(status, int):
        named = _STATUS.search(str(error)) if "HTTP" in kind or "Http" in kind else None
        status = int(named[1]) if named else None
    offline = "Offline" in kind
    if isinstance(error, FileNotFoundError) or kind.endswith("NotFoundError") or status == 404:
        if "bucket does not exist" in str(error):
            return _nothing(name, "there is no such bucket")
        if scheme in ("http", "https"):
            return _unreachable(name, "the server has no such file: HTTP 404", "check the address")
        return _nothing(name, "there is nothing under this name")
    if isinstance(error, PermissionError) or status in (401, 403) or "Credentials" in kind:
        keys = {
            "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            "gs": "set GOOGLE_APPLICATION_CREDENTIALS",
            "hf": "set HF_TOKEN",
        }
        code = f": HTTP {status}" if status else ""
        return InputError(
            f"access denied{code}",
            where=name,
            expected="data that these credentials may read",
            remedy=keys.get(scheme, "check the address, and whether its signature has expired"),
        )
    if status:
        return _unreachable(name, f"the server answered HTTP {status}", "try again later")
    if isinstance(error, OSError) and error.errno == 28:
        return InputError(
            "the disk is full",
            where=name,
            expected="room for the download",
            remedy="make room, or set TMPDIR to a folder on another disk",
        )
    if offline:
        return _unreachable(name, "the Hub is switched off", "unset HF_HUB_OFFLINE")
    reason = without_secrets(str(error)).strip().splitlines()
    host = urlsplit(name).netloc if scheme.startswith("http") else f"what serves {scheme}://"
    found = f"{host} cannot be reached" if _is_network(error) else "it cannot be downloaded"
    shown = f"{kind}: {reason[0]}"[:200] if reason and not _is_network(error) else kind
    return _unreachable(name, f"{found} ({shown})", "check the address and the network")


def _is_network(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, (ConnectionError, TimeoutError)) or bool(
        names
        & {
            "ClientConnectionError",
            "EndpointConnectionError",
            "ConnectTimeoutError",
            "ConnectionError",
            "HTTPClientError",
        }
    )


def _unreachable(name: str, found: str, remedy: str) -> InputError:
    return InputError(
        found, where=name, expected="data that this machine can download", remedy=remedy
    )
