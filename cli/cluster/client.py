"""The calls to the API of Kubeflow Pipelines that the commands need.

`kfp.Client` authenticates; the calls go through its services rather than its own methods, which
print links, wait forever for a cancelled run and never raise for a failed one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from kfp_finetune.cli.cluster.answers import BusyError, no_kubeflow, place
from kfp_finetune.cli.cluster.calls import TIMEOUT, Calls
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.login import POD
from kfp_finetune.cli.cluster.recurring_runs import Schedules
from kfp_finetune.cli.cluster.registry import Registry, equals
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import is_uuid

PAGE = 100
_NAMESPACE = "kubeflow"  # on an installation for one user


class Cluster:
    """One Kubeflow as one user.

    Args:
        connection: The address and the credentials.

    Attributes:
        registry: Its experiments, pipelines and versions.
        schedules: Its schedules.

    Raises:
        InputError: If there is no host, it is not Kubeflow Pipelines, or the credentials are wrong.
        ClusterError: If it does not respond.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._calls = Calls(connection)
        self.registry = Registry(self._calls)
        self.schedules = Schedules(self._calls)
        self.host = self._calls.host
        # Not through the API's model, which accepts any page as a response.
        status, content = self._calls.ask(lambda: self._calls.get("/apis/v2beta1/healthz"))
        if self._is_multi_user(status, content) and connection.namespace is None:
            if not POD.is_file():
                raise InputError(
                    "this Kubeflow is a multi-user installation",
                    where=self.host,
                    expected="your namespace",
                    remedy="--namespace NAMESPACE",
                )
            self._calls.namespace = POD.read_text().strip()

    @property
    def namespace(self) -> str | None:
        """The user's namespace; None on an installation for one user."""
        return self._calls.namespace

    def link(self, run_id: str) -> str:
        """The run's page in the UI."""
        return f"{self.host}/#/runs/details/{run_id}"

    def get_run(self, run_id: str) -> Any:
        """A run by its id.

        Raises:
            InputError: If there is none.
        """
        run = self._calls.ask(
            lambda: self._calls.client.runs.run_service_get_run(run_id, _request_timeout=TIMEOUT),
            f"run {run_id}",
        )
        if run.run_id is None:  # the model accepts any page as a response
            raise no_kubeflow(self.host)
        return self._named(run)

    def get_v1beta1(self, run_id: str) -> dict[str, Any] | None:
        """A run in the v1beta1 API, with its Argo workflow; None if that API does not respond.

        Raises:
            InputError: If the user has no permission.
            ClusterError: If the server fails.
        """
        path = f"/apis/v1beta1/runs/{quote(run_id)}"
        status, content = self._calls.ask(lambda: self._calls.get(path), f"run {run_id}")
        try:
            answer = json.loads(content) if status == 200 else None
        except ValueError:  # a UI returns its page
            return None
        return answer if isinstance(answer, dict) else None

    def version(self, pipeline_id: str, version_id: str) -> Any:
        """A version of a pipeline.

        Raises:
            InputError: If there is none.
        """
        service = self._calls.client.pipelines
        return self._calls.ask(
            lambda: service.pipeline_service_get_pipeline_version(
                pipeline_id, version_id, _request_timeout=TIMEOUT
            ),
            f"version {version_id}",
        )

    def find_run(self, name: str) -> Any:
        """A run by its id, or by its name if only one run has it.

        The name of a scheduled run is that of its schedule with the date.

        Raises:
            InputError: If no run or several runs have this name.
        """
        if is_uuid(name):
            return self.get_run(name)
        found = list(self.runs(name=name))
        if not found and self.schedules.might_name(name):
            found = [run for run in self.runs() if run.display_name == name]
        if len(found) == 1:
            return self.get_run(found[0].run_id)
        raise InputError(
            f"there is no run '{name}'" if not found else f"{len(found)} runs are named '{name}'",
            where=place(self.host, self.namespace),
            expected="a run's id, or a name that only one run has",
            remedy=f"kfp-finetune runs{self.connection.flags} lists them"
            if not found
            else "give one of " + ", ".join(run.run_id for run in found[:5]),
        )

    def runs(self, name: str | None = None) -> Iterator[Any]:
        """The runs of the namespace, the newest first, page by page."""
        token = ""
        while True:
            options = {"page_token": token} if token else {}
            page = self._calls.ask(
                lambda options=options: self._calls.client.runs.run_service_list_runs(  # type: ignore[misc]
                    namespace=self.namespace or "",
                    page_size=PAGE,
                    sort_by="created_at desc",
                    _request_timeout=TIMEOUT,
                    **options,
                    **({"filter": equals("display_name", name)} if name else {}),
                ),
                "runs",
            )
            yield from map(self._named, page.runs or [])
            token = page.next_page_token
            if not token:
                return

    def create_run(self, **fields: Any) -> str:
        """Start a run, and return its id. The fields are those of V2beta1Run."""
        import kfp_server_api

        run = kfp_server_api.V2beta1Run(**fields)
        created = self._calls.send(
            lambda: self._calls.client.runs.run_service_create_run(run, _request_timeout=TIMEOUT),
            "the run",
        )
        return str(created.run_id)

    def terminate(self, run_id: str) -> None:
        """Request the cancellation of a run."""
        self._calls.send(
            lambda: self._calls.client.runs.run_service_terminate_run(
                run_id, _request_timeout=TIMEOUT
            ),
            f"run {run_id}",
        )

    def retry(self, run_id: str) -> None:
        """Continue a failed or terminated run; finished steps are kept.

        Raises:
            InputError: If the server refuses, e.g. because the run has not ended.
        """
        self._calls.send(
            lambda: self._calls.client.runs.run_service_retry_run(run_id, _request_timeout=TIMEOUT),
            f"run {run_id}",
        )

    def read_log(self, run_id: str, pod: str, created: datetime | None = None) -> str | None:
        """The log of a pod's main container; None if it is no longer available.

        It is read from the API or, if the host is the UI, from the UI's server.

        Args:
            run_id: The run's id.
            pod: The pod's name.
            created: The run's creation time; the UI's server finds stored logs by date.
        """
        query = urlencode(
            {
                "podname": pod,
                "runid": run_id,
                "podnamespace": self.namespace or _NAMESPACE,
                "createdat": f"{created:%Y-%m-%d}" if created else "",
            }
        )
        for path in (
            f"/apis/v1alpha1/runs/{quote(run_id)}/nodes/{quote(pod)}/log",
            f"/k8s/pod/logs?{query}",
        ):
            try:
                status, content = self._calls.once(lambda path=path: self._calls.get(path), "log")  # type: ignore[misc]
            except BusyError:  # HTTP 500 can also mean that the pod no longer exists
                continue
            if status == 200 and not _is_no_log(content):
                return content.decode("utf-8", errors="replace")
        return None

    @contextmanager
    def download(self, path: str) -> Iterator[Any]:
        """Stream a path of the host, with any HTTP status.

        Raises:
            ClusterError: If the host does not respond.
        """
        answer = self._calls.ask(lambda: self._calls.open(path, refused=False), path)
        try:
            yield answer
        finally:
            answer.close()

    def _named(self, run: Any) -> Any:
        run.display_name = self.schedules.run_name(run)
        return run

    def _is_multi_user(self, status: int, content: bytes) -> bool:
        try:
            health = json.loads(content)
        except ValueError:
            health = None
        if status != 200 or not isinstance(health, dict):
            raise no_kubeflow(self.host)
        return bool(health.get("multi_user"))


def _is_no_log(content: bytes) -> bool:
    """Return True if a response with HTTP 200 is not a log.

    The API reports a missing log as JSON, and the UI returns its page for unknown paths.
    """
    start = content.lstrip()[:40].lower()
    return start.startswith((b"<!doctype", b"<html", b'{"error_message":', b'{"error":'))
