"""Explain a cluster's error responses, each in one sentence.

The text of kfp's exceptions is never shown: it contains headers and bodies, including cookies.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.progress.failures import LoggedError
from kfp_finetune.progress.lines import clean

BUSY = (429, 500, 502, 503, 504)
_REASONS = {
    "NameResolutionError": "unknown host name",
    "NewConnectionError": "no connection",
    "ConnectTimeoutError": "no response",
    "ReadTimeoutError": "no response",
    "SSLError": "the TLS handshake failed",
    "ProtocolError": "the connection was closed",
}


class ClusterError(LoggedError):
    """The cluster failed; the input is not at fault."""


class BusyError(Exception):
    """A request failed and may be repeated.

    Args:
        message: The reason.
        status: The HTTP status; 0 if there was no response.
        wait: Seconds that the server asks to wait; 0 if it does not.
        remedy: How to fix it; empty if only waiting helps.
    """

    def __init__(self, message: str, status: int, wait: float = 0.0, remedy: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait
        self.remedy = remedy

    def final(self, more: str = "") -> ClusterError:
        """Return the error after the last attempt.

        Args:
            more: A sentence to add to the message.
        """
        remedy = f"\n  remedy:   {self.remedy}" if self.remedy else ""
        return ClusterError(f"{self}{more}{remedy}")


def explained(error: Any, what: str, host: str, namespace: str | None, flags: str) -> Exception:
    """Explain an error response of the server.

    Args:
        error: kfp_server_api's ApiException.
        what: The requested object, such as "run 1234".
        host: The address of the server.
        namespace: The namespace; None on an installation for one user.
        flags: The connection's options, as typed.

    Returns:
        `InputError` if the request must be changed, `BusyError` if it may be repeated, else
        `ClusterError`.
    """
    said = _message(error)
    where = place(host, namespace)
    status = error.status
    if status == 401:
        return InputError(
            "you are not signed in, or your token has expired: HTTP 401",
            where=where,
            expected="a token or cookies that this Kubeflow accepts",
            remedy="get a new token and pass it with --token-file FILE, KFP_TOKEN or KFP_COOKIES",
        )
    if status == 403:
        return InputError(
            f"permission denied: HTTP 403{said}",
            where=where,
            expected="a user with access to the namespace",
            remedy="check --namespace, and that you are a contributor to it",
        )
    if status == 404:
        return InputError(
            f"there is no {what.removeprefix('the ') or 'such thing'}: HTTP 404{said}",
            where=where,
            expected="an existing id",
            remedy=f"kfp-finetune runs{flags} lists the runs",
        )
    if status in (400, 409):
        return InputError(
            f"{what} was refused: HTTP {status}{said}",
            where=where,
            expected="a request that this version of Kubeflow Pipelines accepts",
            remedy="change the value that the message names"
            if status == 400
            else "choose another name",
        )
    if status in BUSY:
        wait = (error.headers or {}).get("Retry-After", "")
        return BusyError(
            f"{host} returned HTTP {status}{said}",
            status,
            min(float(wait), 30.0) if str(wait).isdecimal() else 0.0,
        )
    return ClusterError(f"{host} returned HTTP {status}{said}")


def place(host: str, namespace: str | None) -> str:
    """Return host and namespace, for messages."""
    return f"{host}, namespace {namespace}" if namespace else host


def no_kubeflow(host: str) -> InputError:
    """Return the error for a server that is not Kubeflow Pipelines."""
    return InputError(
        "the server is not Kubeflow Pipelines; it may be a login page",
        where=host,
        expected="the URL of its API or UI, and a token or cookies if it requires a login",
        remedy="check --host; --token-file or --cookies-file, or KFP_TOKEN or KFP_COOKIES",
    )


def unreachable(host: str, error: Exception) -> BusyError:
    """Explain a request without a response.

    Args:
        host: The address of the server.
        error: urllib3's error, or one of the operating system.
    """
    reason = getattr(error, "reason", None)
    kind = type(reason if isinstance(reason, Exception) else error).__name__
    url = urlsplit(host)
    local = url.hostname in ("localhost", "127.0.0.1", "::1")
    forward = "kubectl -n kubeflow port-forward svc/ml-pipeline-ui"
    if kind == "SSLError":
        remedy = "SSL_CERT_FILE=ca.pem, if a private authority signed its certificate"
    elif local:
        remedy = f"check the URL, and forward its port: {forward} {url.port or 80}:80"
    else:
        remedy = (
            f"check the URL and the network, or forward a port ({forward} 8080:80) and use"
            " --host http://localhost:8080"
        )
    cause = _REASONS.get(kind, "the connection failed")
    if "refused" in str(error):
        cause = "connection refused"
    return BusyError(f"{host} cannot be reached: {cause}", 0, remedy=remedy)


def _message(error: Any) -> str:
    """Return the server's own error message, on one short line."""
    try:
        body = json.loads(error.body)
        said = body.get("message") or body.get("error") or ""
    except (TypeError, ValueError, AttributeError):
        return ""
    line = clean(without_secrets(str(said)))[:300]
    return f": {line}" if line else ""
