"""Connect to a cluster with the user's credentials."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.uris import without_secrets

_IN_CLUSTER = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
# In a pod: the namespace, and the token that Kubeflow mounts.
POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_POD_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")


def connect(connection: Connection, host: str) -> Any:
    """A kfp.Client, which handles authentication.

    Raises:
        InputError: If a token or cookies cannot be read.
    """
    import kfp

    class Client(kfp.Client):
        """Skips the health check, which would be repeated five times, five seconds apart."""

        def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
            return SimpleNamespace(multi_user=False)

    token = _secret(connection.token_file, "KFP_TOKEN", "--token-file")
    cookies = _secret(connection.cookies_file, "KFP_COOKIES", "--cookies-file")
    credentials = None
    if token is None and cookies is None and _POD_TOKEN.is_file():
        from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

        credentials = ServiceAccountTokenVolumeCredentials()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is for servers newer than 2.0.0-beta.2
        client = Client(
            host=host,
            existing_token=token,
            cookies=cookies,
            credentials=credentials,
            ssl_ca_cert=os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE"),
        )
    # urllib3 would retry by itself and print warnings.
    client.runs.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
    return client


def host_of(connection: Connection) -> str:
    """The address of Kubeflow Pipelines.

    Raises:
        InputError: If no address is given, or it is not a valid URL.
    """
    host = connection.host or os.environ.get("KF_PIPELINES_ENDPOINT") or ""
    if not host and POD.is_file():
        host = _IN_CLUSTER
    if not host:
        raise InputError(
            "no cluster is given",
            where="--host",
            expected="the address of Kubeflow Pipelines, such as http://localhost:8080",
            remedy="--host URL, or set KF_PIPELINES_ENDPOINT",
        )
    if not host.startswith(("http://", "https://")):
        scheme = "http" if host.startswith(("localhost", "127.0.0.1")) else "https"
        raise InputError(
            f"'{without_secrets(host)}' is not a valid URL",
            where="--host",
            expected="http://... or https://...",
            remedy=f"--host {scheme}://{without_secrets(host)}",
        )
    if without_secrets(host) != host:
        raise InputError(
            "the URL contains a user, a password or a query",
            where=f"--host {without_secrets(host)}",
            expected="a plain URL; sign in with a token or cookies",
            remedy=f"--host {without_secrets(host)} --token-file FILE (or --cookies-file FILE, or"
            " the variable KFP_TOKEN)",
        )
    return host.rstrip("/")


def _secret(file: Path | None, variable: str, option: str) -> str | None:
    """Read a token or cookies from a file or the environment."""
    if file is None:
        return os.environ.get(variable) or None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the file cannot be read: {getattr(error, 'strerror', None) or 'not text'}",
            where=f"{option} {file}",
            expected="a text file",
            remedy="check the path and its permissions",
        ) from None
    if not text or "\n" in text:
        raise InputError(
            "the file is empty" if not text else "the file has several lines",
            where=f"{option} {file}",
            expected="one line",
            remedy="write the token or the cookies to it, on one line",
        )
    return text
