"""Messages for files that cannot be reached.

The libraries' own messages are not shown if they may contain an address, which may contain secrets.
"""

from __future__ import annotations

import contextlib
import errno
import re
import tempfile
from collections.abc import Iterator
from urllib.parse import urlsplit

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.schemes import SCHEMES, WEB
from kfp_finetune.components.storage.uris import without_secrets

_STATUS = re.compile(r"\b([45]\d\d)\b")
_NETWORK = {
    "ClientConnectionError",
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ConnectionError",
    "HTTPClientError",
    "TransportError",  # httpx, under the Hub's client
}


@contextlib.contextmanager
def explained(scheme: str, name: str) -> Iterator[None]:
    """Turn any exception of a store's libraries into an InputError.

    Args:
        scheme: The scheme of the URI that is used.
        name: The URI without secrets.
    """
    try:
        yield
    except InputError:
        raise
    except ImportError:
        raise not_installed(scheme, name) from None
    except Exception as error:  # every library has its own exceptions
        raise failure(scheme, name, error) from None


def not_installed(scheme: str, name: str) -> InputError:
    """The error for a scheme whose package is not installed."""
    extra = SCHEMES[scheme].extra
    return InputError(
        f"the package that reads {scheme}:// is not installed",
        where=name,
        expected=f"the extra [{extra}]",
        remedy=f"pip install 'kfp-finetune[{extra}]'",
    )


def nothing(name: str, found: str) -> InputError:
    """The error for a URI that names no files."""
    return InputError(
        found,
        where=name,
        expected="the URI of existing files",
        remedy="check the bucket and the path",
    )


def disk_full(name: str, content: str) -> InputError:
    """The error for a copy that does not fit on the disk.

    Args:
        name: The file to copy.
        content: The name of the copy, e.g. "the download".
    """
    return InputError(
        "the disk is full",
        where=name,
        expected=f"room for {content} in {tempfile.gettempdir()}",
        remedy="free some space, or set TMPDIR to a folder on another disk",
    )


def failure(scheme: str, name: str, error: Exception) -> InputError:
    """The error for a file that could not be read or written.

    Args:
        scheme: The scheme of its URI.
        name: The URI without secrets.
        error: The library's exception.
    """
    kind, status = type(error).__name__, _status(error)
    if isinstance(error, FileNotFoundError) or kind.endswith("NotFoundError") or status == 404:
        if "bucket does not exist" in str(error):
            return nothing(name, "there is no such bucket")
        if scheme in WEB:
            return _unreachable(name, "the server has no such file: HTTP 404", "check the address")
        return nothing(name, "nothing exists under this name")
    if isinstance(error, PermissionError) or status in (401, 403) or "Credentials" in kind:
        return InputError(
            "access denied" + (f": HTTP {status}" if status else ""),
            where=name,
            expected="files that these credentials may access",
            remedy=SCHEMES[scheme].credentials,
        )
    if status:
        return _unreachable(name, f"the server returned HTTP {status}", "try again later")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return disk_full(name, "the download")
    if "Offline" in kind:
        return _unreachable(name, "access to the Hub is switched off", "unset HF_HUB_OFFLINE")
    reason = without_secrets(str(error)).strip().splitlines()
    host = urlsplit(name).netloc if scheme in WEB else f"the server of {scheme}://"
    found = f"{host} cannot be reached" if _is_network(error) else "it cannot be downloaded"
    shown = f"{kind}: {reason[0]}"[:200] if reason and not _is_network(error) else kind
    return _unreachable(name, f"{found} ({shown})", "check the address and the network")


def _status(error: Exception) -> int | None:
    status = getattr(error, "status", None) or getattr(error, "code", None)
    if isinstance(status, int):
        return status
    kind = type(error).__name__
    named = _STATUS.search(str(error)) if "HTTP" in kind or "Http" in kind else None
    return int(named[1]) if named else None


def _is_network(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, (ConnectionError, TimeoutError)) or bool(names & _NETWORK)


def _unreachable(name: str, found: str, remedy: str) -> InputError:
    return InputError(
        found, where=name, expected="files that this machine can download", remedy=remedy
    )
