"""Access to the Hugging Face Hub.

huggingface-hub 1.x and later use httpx, earlier versions used requests. The environment variables
of requests still work: httpx reads SSL_CERT_FILE, SSL_CERT_DIR and the proxy
variables by itself, but neither REQUESTS_CA_BUNDLE nor address ranges in NO_PROXY.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import ssl
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

# In the order in which requests looks for them; each is a file or folder of certificates.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 10.0


def errors() -> tuple[type[Exception], ...]:
    """The exceptions of the Hub's client when the Hub cannot be reached or refuses.

    Returns:
        OSError, which covers time-outs, missing cache entries and the Hub's own answers, and
        httpx's errors. A ValueError or ImportError is a bug.
    """
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    return (OSError, httpx.HTTPError, httpx.InvalidURL)


@cache  # once per process, because the client keeps its connections
def prepare() -> None:
    """Make the Hub's client read the variables that requests did. Call it before using the Hub."""
    from huggingface_hub import constants, set_client_factory

    bundle = next((value for name in _BUNDLES if (value := os.environ.get(name))), None)
    direct = _without_proxy(constants.ENDPOINT)
    set_client_factory(lambda: _client(bundle, direct))


def _client(bundle: str | None, direct: str | None) -> Any:
    """The client that huggingface-hub would make, with these certificates and this direct host."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
    from huggingface_hub.utils._http import hf_request_event_hook  # keeps HF_HUB_OFFLINE working

    options: dict[str, Any] = {}
    if bundle:
        kind = "capath" if Path(bundle).is_dir() else "cafile"
        options["verify"] = ssl.create_default_context(**{kind: bundle})  # type: ignore[arg-type]
    if direct:
        options["mounts"] = {f"all://{direct}": None}
    try:
        return httpx.Client(
            event_hooks={"request": [hf_request_event_hook]},
            follow_redirects=True,
            timeout=None,  # huggingface-hub sets one for each request
            **options,
        )
    except (ImportError, ValueError) as error:  # an unknown scheme, or SOCKS without its package
        raise httpx.ProxyError(str(error)) from error


def _without_proxy(endpoint: str) -> str | None:
    """The Hub's host if it is an address within a range of NO_PROXY, such as 10.0.0.0/8."""
    host = urlsplit(endpoint).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    for entry in getproxies().get("no", "").split(","):
        try:
            if "/" in entry and address in ipaddress.ip_network(entry.strip(), strict=False):
                return f"[{host}]" if address.version == 6 else host
        except ValueError:
            continue
    return None


def why_not_reached(error: BaseException) -> str:
    """The reason why the Hub could not be reached, without the libraries' own messages.

    Args:
        error: The libraries' exception.

    Returns:
        A clause for a message.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "access to the Hub is switched off by HF_HUB_OFFLINE"
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status:
            return f"the Hub returned HTTP {status}"
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            return "the disk is full"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the Hub cannot be reached at {constants.ENDPOINT}: its certificate is not signed"
                " by an authority that this machine trusts (SSL_CERT_FILE adds others)"
            )
        cause = cause.__cause__ or cause.__context__
    return f"the Hub cannot be reached at {constants.ENDPOINT}"


def commit_of(repository: str, revision: str, kind: str) -> str:
    """The commit that a Hub id currently refers to.

    It is looked up on the Hub or, if that cannot be reached, in the local Hub cache, which the
    pipeline steps then read.

    Args:
        repository: "name" or "owner/name".
        revision: A branch, tag or commit.
        kind: "dataset" or "model".

    Returns:
        The commit's SHA, or "" if it is not known.
    """
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        from huggingface_hub import HfApi, constants
    except ImportError:  # the client without [train]
        return ""
    prepare()
    try:
        found = HfApi().repo_info(repository, repo_type=kind, revision=revision, timeout=_SECONDS)
        return found.sha or ""
    except Exception:  # offline, unknown or forbidden: the step that reads it reports the reason
        folder = f"{kind}s--{repository.replace('/', '--')}"
        reference = Path(constants.HF_HUB_CACHE, folder, "refs", revision)
        try:
            return reference.read_text(encoding="utf-8").strip()
        except OSError:
            return ""
