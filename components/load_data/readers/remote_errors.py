"""What is said when data behind a URI cannot be had.

Never what the stores' libraries say: they repeat addresses, which may hold secrets.
"""

from __future__ import annotations

import errno
import re
from urllib.parse import urlsplit

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.unpacking import disk_full
from kfp_finetune.components.uris import without_secrets

_STATUS = re.compile(r"\b([45]\d\d)\b")


def nothing(name: str, found: str) -> InputError:
    """What is raised where a URI names no data."""
    return InputError(
        found, where=name, expected="data that is there", remedy="check the bucket and the path"
    )


def failure(scheme: str, name: str, error: Exception) -> InputError:
    """What went wrong, said without repeating what the libraries say, which may hold secrets."""
    kind = type(error).__name__
    status = getattr(error, "status", None) or getattr(error, "code", None)
    if not isinstance(status, int):
        named = _STATUS.search(str(error)) if "HTTP" in kind or "Http" in kind else None
        status = int(named[1]) if named else None
    offline = "Offline" in kind
    if isinstance(error, FileNotFoundError) or kind.endswith("NotFoundError") or status == 404:
        if "bucket does not exist" in str(error):
            return nothing(name, "there is no such bucket")
        if scheme in ("http", "https"):
            return _unreachable(name, "the server has no such file: HTTP 404", "check the address")
        return nothing(name, "there is nothing under this name")
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
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return disk_full(name, "the download")
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
            "TransportError",  # httpx, under the Hub's client
        }
    )


def _unreachable(name: str, found: str, remedy: str) -> InputError:
    return InputError(
        found, where=name, expected="data that this machine can download", remedy=remedy
    )
