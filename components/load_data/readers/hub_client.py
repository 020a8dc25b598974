"""The Hub's HTTP client: huggingface-hub 1.x and later use httpx, earlier ones used requests.

What people set for requests still holds. httpx reads SSL_CERT_FILE, SSL_CERT_DIR and the proxy
variables by itself, but neither REQUESTS_CA_BUNDLE nor address ranges in NO_PROXY.
"""

from __future__ import annotations

import ipaddress
import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

# In the order in which requests looks for them; a file of certificates, or a folder.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def errors() -> tuple[type[Exception], ...]:
    """What the Hub's client raises when the Hub cannot be reached or refuses.

    Returns:
        OSError, which covers time-outs, missing cache entries and the Hub's own answers; httpx's
        errors; and what httpx raises for a proxy that it cannot use (a scheme that it does not
        know, or SOCKS without its package).
    """
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    return (OSError, httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError)


@cache  # once per process: the client keeps its connections
def prepare() -> None:
    """Let the Hub's client honour the variables that requests did. Call it before using the Hub."""
    from huggingface_hub import constants, set_client_factory

    bundle = next((value for name in _BUNDLES if (value := os.environ.get(name))), None)
    direct = _without_proxy(constants.ENDPOINT)
    if bundle or direct:
        set_client_factory(lambda: _client(bundle, direct))


def _client(bundle: str | None, direct: str | None) -> Any:
    """The client that huggingface-hub would make, with these certificates and this direct host."""
    import ssl

    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
    from huggingface_hub.utils._http import hf_request_event_hook  # keeps HF_HUB_OFFLINE working

    options: dict[str, Any] = {}
    if bundle:
        kind = "capath" if Path(bundle).is_dir() else "cafile"
        options["verify"] = ssl.create_default_context(**{kind: bundle})  # type: ignore[arg-type]
    if direct:
        options["mounts"] = {f"all://{direct}": None}
    return httpx.Client(
        event_hooks={"request": [hf_request_event_hook]},
        follow_redirects=True,
        timeout=None,  # huggingface-hub sets one for each request
        **options,
    )


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
                return host
        except ValueError:
            continue
    return None
