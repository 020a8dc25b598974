"""The API of Kubeflow Pipelines, as the commands need it.

`kfp.Client` finds out how to authenticate; the calls are made through the services it holds, not
through its own methods, which print links, wait for ever on a cancelled run and never raise on a
failed one. What the server or the network answers is turned into one sentence, without what
kfp's exceptions repeat: headers, cookies and bodies.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import quote

from kfp_finetune.cli.cluster.options import Connection
from kfp_finetune.cli.failures import LoggedError
from kfp_finetune.cli.screen import clean
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.uris import without_secrets

# Seconds to connect, and to wait for an answer.
TIMEOUT = (10, 60)
PAGE = 100
_ATTEMPTS = 4
_SECONDS_BETWEEN_ATTEMPTS = 1.0
_BUSY = (429, 500, 502, 503, 504)
_IN_CLUSTER = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_POD_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
Result = TypeVar("Result")


class ClusterError(LoggedError):
    """The cluster did not do what was asked; no fault of the input."""


class Cluster:
    """One Kubeflow, as one user.

    Args:
        connection: Where and as whom.

    Raises:
        InputError: If there is no host, or it is not Kubeflow Pipelines, or does not let us in.
        ClusterError: If it does not answer.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.host = _host(connection)
        self.namespace = connection.namespace
        self._client = self._connect()
        # Not through the model: it takes any page for an answer.
        status, content = self._ask(lambda: self._get("/apis/v2beta1/healthz"))
        if self._is_multi_user(status, content) and self.namespace is None:
            if not _POD.is_file():
                raise InputError(
                    "this Kubeflow has several users",
                    where=self.host,
                    expected="your namespace",
                    remedy="--namespace NAMESPACE",
                )
            self.namespace = _POD.read_text().strip()

    def link(self, run_id: str) -> str:
        """The run's page in the UI."""
        return f"{self.host}/#/runs/details/{run_id}"

    def get_run(self, run_id: str) -> Any:
        """A run by its id.

        Raises:
            InputError: If there is none.
        """
        return self._ask(
            lambda: self._client.runs.run_service_get_run(run_id, _request_timeout=TIMEOUT),
            f"run {run_id}",
        )

    def find_run(self, name: str) -> Any:
        """A run by its id, or by its name where only one has it.

        Raises:
            InputError: If none or several have it.
        """
        if _is_id(name):
            return self.get_run(name)
        found = list(self.runs(name=name))
        if len(found) == 1:
            return self.get_run(found[0].run_id)
        raise InputError(
            f"there is no run '{name}'" if not found else f"{len(found)} runs are called '{name}'",
            where=self._where(),
            expected="a run's id, or a name that one run has",
            remedy=f"kfp-finetune runs{self.connection.flags} lists them"
            if not found
            else "give one of " + ", ".join(run.run_id for run in found[:5]),
        )

    def runs(self, name: str | None = None) -> Iterator[Any]:
        """The runs of the namespace, the newest first, page by page."""
        wanted = json.dumps(
            {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
        )
        token = ""
        while True:
            options = {"page_token": token} if token else {}
            page = self._ask(
                lambda options=options: self._client.runs.run_service_list_runs(  # type: ignore[misc]
                    namespace=self.namespace or "",
                    page_size=PAGE,
                    sort_by="created_at desc",
                    _request_timeout=TIMEOUT,
                    **options,
                    **({"filter": wanted} if name else {}),
                ),
                "runs",
            )
            yield from page.runs or []
            token = page.next_page_token
            if not token:
                return

    def experiment(self, name: str) -> str:
        """The id of an experiment, which is made if it is not there."""
        import kfp_server_api

        service = self._client.experiments
        wanted = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        found = self._ask(
            lambda: service.experiment_service_list_experiments(
                namespace=self.namespace or "",
                filter=json.dumps({"predicates": [wanted]}),
                _request_timeout=TIMEOUT,
            ),
            f"experiment {name}",
        )
        for experiment in found.experiments or []:
            return str(experiment.experiment_id)
        made = self._send(
            lambda: service.experiment_service_create_experiment(
                kfp_server_api.V2beta1Experiment(display_name=name, namespace=self.namespace),
                _request_timeout=TIMEOUT,
            ),
            f"experiment {name}",
        )
        return str(made.experiment_id)

    def create_run(self, **fields: Any) -> str:
        """Start a run; returns its id. The fields are those of V2beta1Run."""
        import kfp_server_api

        run = kfp_server_api.V2beta1Run(**fields)
        created = self._send(
            lambda: self._client.runs.run_service_create_run(run, _request_timeout=TIMEOUT),
            "the run",
        )
        return str(created.run_id)

    def create_recurring_run(self, cron: str, **fields: Any) -> str:
        """Have a run started again and again; returns the id of the schedule.

        Args:
            cron: Six fields, seconds first.
            **fields: Those of V2beta1RecurringRun.
        """
        import kfp_server_api as api

        schedule = api.V2beta1RecurringRun(
            mode=api.RecurringRunMode.ENABLE,
            trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=cron)),
            max_concurrency="1",
            no_catchup=True,
            **fields,
        )
        service = self._client.recurring_runs
        created = self._send(
            lambda: service.recurring_run_service_create_recurring_run(
                schedule, _request_timeout=TIMEOUT
            ),
            "the recurring run",
        )
        return str(created.recurring_run_id)

    def upload(self, file: Path, name: str, version: str) -> tuple[str, str]:
        """Register a version of a pipeline, if it is not; returns the ids of both.

        Args:
            file: The compiled pipeline.
            name: The pipeline's name; it is made if it is not there.
            version: The version's name; the same name is the same content.
        """
        import kfp_server_api

        service = self._client.pipelines
        wanted = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        listed = self._ask(
            lambda: service.pipeline_service_list_pipelines(
                namespace=self.namespace or "",
                filter=json.dumps({"predicates": [wanted]}),
                _request_timeout=TIMEOUT,
            ),
            f"pipeline {name}",
        )
        if listed.pipelines:
            pipeline_id = str(listed.pipelines[0].pipeline_id)
        else:
            pipeline = kfp_server_api.V2beta1Pipeline(
                display_name=name, name=name, namespace=self.namespace
            )
            made = self._send(
                lambda: service.pipeline_service_create_pipeline(
                    pipeline, _request_timeout=TIMEOUT
                ),
                f"pipeline {name}",
            )
            pipeline_id = str(made.pipeline_id)
        wanted["stringValue"] = version
        versions = self._ask(
            lambda: service.pipeline_service_list_pipeline_versions(
                pipeline_id,
                filter=json.dumps({"predicates": [wanted]}),
                _request_timeout=TIMEOUT,
            ),
            f"version {version}",
        )
        for known in versions.pipeline_versions or []:
            return pipeline_id, str(known.pipeline_version_id)
        uploaded = self._send(
            lambda: self._client.pipeline_uploads.upload_pipeline_version(
                str(file), name=version, pipelineid=pipeline_id, _request_timeout=TIMEOUT
            ),
            f"version {version}",
        )
        return pipeline_id, str(uploaded.pipeline_version_id)

    def terminate(self, run_id: str) -> None:
        """Ask for a run to be cancelled."""
        self._send(
            lambda: self._client.runs.run_service_terminate_run(run_id, _request_timeout=TIMEOUT),
            f"run {run_id}",
        )

    def read_log(self, run_id: str, pod: str) -> str | None:
        """What a pod's main container printed; None if the pod is gone or is not called so."""
        path = f"/apis/v1alpha1/runs/{quote(run_id)}/nodes/{quote(pod)}/log"
        status, content = self._ask(lambda: self._get(path))
        return content.decode("utf-8", errors="replace") if status == 200 else None

    def _get(self, path: str) -> tuple[int, bytes]:
        """Ask what the API's description does not have, as the same user.

        Returns:
            The HTTP status and what came.
        """
        import kfp_server_api
        import urllib3

        api = self._client.runs.api_client
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
        )
        if answer.status in (401, 403, *_BUSY):
            error = kfp_server_api.ApiException(status=answer.status, reason=answer.reason)
            error.body, error.headers = answer.data, answer.headers
            raise error
        return int(answer.status), bytes(answer.data)

    def _is_multi_user(self, status: int, content: bytes) -> bool:
        try:
            health = json.loads(content)
        except ValueError:
            health = None
        if status != 200 or not isinstance(health, dict):
            raise _no_kubeflow(self.host)
        return bool(health.get("multi_user"))

    def _connect(self) -> Any:
        import kfp

        class Client(kfp.Client):
            """Is made without asking how the server is, five times and five seconds apart."""

            def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
                return SimpleNamespace(multi_user=False)

        token = _secret(self.connection.token_file, "KFP_TOKEN", "--token-file")
        cookies = _secret(self.connection.cookies_file, "KFP_COOKIES", "--cookies-file")
        credentials = None
        if token is None and cookies is None and _POD_TOKEN.is_file():
            from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

            credentials = ServiceAccountTokenVolumeCredentials()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is for servers newer than 2.0.0-beta.2
            client = Client(
                host=self.host,
                existing_token=token,
                cookies=cookies,
                credentials=credentials,
                ssl_ca_cert=os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE"),
            )
        # urllib3 would try again on its own, and warn.
        client.runs.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
        return client

    def _ask(self, call: Callable[[], Result], what: str = "") -> Result:
        """Make a call that changes nothing, again if the server is busy or the line breaks."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._call(call, what)
            except _BusyError as error:
                if attempt == _ATTEMPTS:
                    raise ClusterError(str(error)) from None
                time.sleep(error.wait or _SECONDS_BETWEEN_ATTEMPTS * 2 ** (attempt - 1))
        raise AssertionError

    def _send(self, call: Callable[[], Result], what: str) -> Result:
        """Make a call that changes something: once, unless the server says it was not taken."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._call(call, what)
            except _BusyError as error:
                if error.status not in (429, 503) or attempt == _ATTEMPTS:
                    unknown = (
                        ""
                        if error.status
                        else (
                            f"; whether {what} was accepted is not known:"
                            f" kfp-finetune runs{self.connection.flags} tells"
                        )
                    )
                    raise ClusterError(f"{error}{unknown}") from None
                time.sleep(error.wait or _SECONDS_BETWEEN_ATTEMPTS * 2 ** (attempt - 1))
        raise AssertionError

    def _call(self, call: Callable[[], Result], what: str, *, renewed: bool = False) -> Result:
        import kfp_server_api
        import urllib3

        try:
            return call()
        except kfp_server_api.ApiException as error:
            if error.status == 401 and not renewed and self.connection.token_file is not None:
                self._client = self._connect()  # the token may have been renewed meanwhile
                return self._call(call, what, renewed=True)
            raise self._explained(error, what) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _BusyError(f"{self.host} cannot be reached ({_kind(error)})", 0) from None
        except (ValueError, TypeError, AttributeError):
            raise _no_kubeflow(self.host) from None

    def _explained(self, error: Any, what: str) -> Exception:
        said = _message(error)
        status = error.status
        if status == 401:
            return InputError(
                "who you are is not known here, or your token has expired: HTTP 401",
                where=self._where(),
                expected="a token or cookies that this Kubeflow takes",
                remedy="get a new one; --token-file FILE, or KFP_TOKEN or KFP_COOKIES",
            )
        if status == 403:
            return InputError(
                f"you may not do this here: HTTP 403{said}",
                where=self._where(),
                expected="a namespace and a user with the right to it",
                remedy="check --namespace, and whether you are a contributor to it",
            )
        if status == 404:
            return InputError(
                f"there is no {what.removeprefix('the ') or 'such thing'}: HTTP 404{said}",
                where=self._where(),
                expected="an id that this Kubeflow knows",
                remedy=f"kfp-finetune runs{self.connection.flags} lists the runs",
            )
        if status in (400, 409):
            return InputError(
                f"{what} was refused: HTTP {status}{said}",
                where=self._where(),
                expected="what this version of Kubeflow Pipelines takes",
                remedy="change what it names" if status == 400 else "choose another name",
            )
        if status in _BUSY:
            wait = (error.headers or {}).get("Retry-After", "")
            return _BusyError(
                f"{self.host} answered HTTP {status}{said}",
                status,
                min(float(wait), 30.0) if str(wait).isdecimal() else 0.0,
            )
        return ClusterError(f"{self.host} answered HTTP {status}{said}")

    def _where(self) -> str:
        return f"{self.host}, namespace {self.namespace}" if self.namespace else self.host


class _BusyError(Exception):
    """It did not work this time.

    Args:
        message: Why.
        status: The HTTP status; 0 if there was no answer.
        wait: Seconds that the server asks to wait; 0 if it does not.
    """

    def __init__(self, message: str, status: int, wait: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


def _host(connection: Connection) -> str:
    host = connection.host or os.environ.get("KF_PIPELINES_ENDPOINT") or ""
    if not host and _POD.is_file():
        host = _IN_CLUSTER
    if not host:
        raise InputError(
            "no cluster is given",
            where="--host",
            expected="the address of Kubeflow Pipelines, such as http://localhost:8080",
            remedy="--host URL, or set KF_PIPELINES_ENDPOINT",
        )
    if not host.startswith(("http://", "https://")):
        raise InputError(
            f"'{without_secrets(host)}' is no address",
            where="--host",
            expected="http://... or https://...",
            remedy=f"--host https://{without_secrets(host)}",
        )
    return host.rstrip("/")


def _secret(file: Path | None, variable: str, option: str) -> str | None:
    """A token or cookies: from a file, else from the environment."""
    if file is None:
        return os.environ.get(variable) or None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"it cannot be read: {getattr(error, 'strerror', None) or 'not text'}",
            where=f"{option} {file}",
            expected="a text file",
            remedy="check the path and its permissions",
        ) from None
    if not text or "\n" in text:
        raise InputError(
            "the file is empty" if not text else "the file has several lines",
            where=f"{option} {file}",
            expected="one line",
            remedy="write it anew",
        )
    return text


def _is_id(name: str) -> bool:
    from kfp_finetune.components.runtime import is_uuid

    return is_uuid(name)


def _message(error: Any) -> str:
    """What the server says went wrong, in one short line."""
    try:
        body = json.loads(error.body)
        said = body.get("message") or body.get("error") or ""
    except (TypeError, ValueError, AttributeError):
        return ""
    line = clean(without_secrets(str(said)))[:300]
    return f": {line}" if line else ""


def _kind(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return type(reason if isinstance(reason, Exception) else error).__name__


def _no_kubeflow(host: str) -> InputError:
    return InputError(
        "what answers is not Kubeflow Pipelines; mostly it is a login page",
        where=host,
        expected="the address of its API or UI, and a token or cookies where it wants a login",
        remedy="check --host; --token-file or --cookies-file, or KFP_TOKEN or KFP_COOKIES",
    )
