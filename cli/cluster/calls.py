"""Call a cluster's API: retry if that is safe, and explain failures in one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from kfp_finetune.cli.cluster.answers import BUSY, BusyError, explained, unreachable
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.login import connect, host_of

# Seconds to connect, and to wait for a response.
TIMEOUT = (10, 60)
_ATTEMPTS = 4
_SECONDS_BETWEEN_ATTEMPTS = 1.0
Result = TypeVar("Result")


class Calls:
    """Calls to one Kubeflow as one user.

    Args:
        connection: The address and the credentials.

    Attributes:
        connection: The address and the credentials.
        host: The address.
        namespace: The user's namespace on a multi-user installation; None if there is one user, or
            while it is unknown.
        client: A kfp.Client.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.host = host_of(connection)
        self.namespace = connection.namespace
        self.client = connect(connection, self.host)

    def ask(self, call: Callable[[], Result], what: str = "") -> Result:
        """Make a call that changes nothing; retry it if the server is busy or unreachable."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self.once(call, what)
            except BusyError as error:
                if attempt == _ATTEMPTS:
                    raise error.final() from None
                time.sleep(error.wait or _SECONDS_BETWEEN_ATTEMPTS * 2 ** (attempt - 1))
        raise AssertionError

    def send(self, call: Callable[[], Result], what: str) -> Result:
        """Make a call that changes something; retry it only if the server rejected it as busy."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self.once(call, what)
            except BusyError as error:
                if error.status not in (429, 503) or attempt == _ATTEMPTS:
                    listed = f"kfp-finetune runs{self.connection.flags} lists the runs"
                    unknown = f"; it is unknown whether {what} was accepted: {listed}"
                    raise error.final("" if error.status else unknown) from None
                time.sleep(error.wait or _SECONDS_BETWEEN_ATTEMPTS * 2 ** (attempt - 1))
        raise AssertionError

    def once(self, call: Callable[[], Result], what: str, *, renewed: bool = False) -> Result:
        """Make a call, with a new token if the old one has expired.

        Args:
            call: Makes the call.
            what: The requested object, for messages.
            renewed: Whether the token has just been read again.

        Raises:
            InputError: If the request must be changed.
            BusyError: If it may be repeated.
            ClusterError: If the server refuses for another reason.
        """
        import kfp_server_api
        import urllib3

        try:
            return call()
        except kfp_server_api.ApiException as error:
            if error.status == 401 and not renewed and self.connection.token_file is not None:
                # The file may have a new one by now.
                self.client = connect(self.connection, self.host)
                return self.once(call, what, renewed=True)
            raise explained(error, what, self.host, self.namespace, self.connection.flags) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(self.host, error) from None

    def get(self, path: str) -> tuple[int, bytes]:
        """Request a path that the API client does not cover, as the same user.

        Returns:
            The HTTP status and the body.
        """
        answer = self.open(path)
        try:
            return int(answer.status), bytes(answer.data)
        finally:
            answer.release_conn()

    def open(self, path: str, *, refused: bool = True) -> Any:
        """Like `get`, as a stream.

        Args:
            path: The path.
            refused: Whether a busy server and a refusal are errors.

        Returns:
            urllib3's response, which must be closed or read to its end.
        """
        import kfp_server_api
        import urllib3

        api = self.client.runs.api_client
        headers = dict(api.default_headers)
        api.update_params_for_auth(headers, {}, ["Bearer"])
        if api.cookie:
            headers["Cookie"] = api.cookie
        answer = api.rest_client.pool_manager.request(
            "GET",
            self.host + path,
            headers=headers,
            timeout=urllib3.Timeout(*TIMEOUT),
            redirect=False,
            preload_content=False,
        )
        if refused and answer.status in (401, 403, *BUSY):
            error = kfp_server_api.ApiException(status=answer.status, reason=answer.reason)
            error.body, error.headers = answer.data, answer.headers
            raise error
        return answer
