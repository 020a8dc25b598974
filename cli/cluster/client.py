"""The API of Kubeflow Pipelines, as the commands need it.

`kfp.Client` finds out how to authenticate; the calls are made through the services it holds, not
through its own methods, which print links, wait for ever on a cancelled run and never raise on a
failed one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from kfp_finetune.cli.cluster.answers import BusyError, no_kubeflow, place
from kfp_finetune.cli.cluster.calls import TIMEOUT, Calls
from kfp_finetune.cli.cluster.login import POD
from kfp_finetune.cli.cluster.options import Connection
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import is_uuid

PAGE = 100
_NAMESPACE = "kubeflow"  # of an install for one user


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
        self._calls = Calls(connection)
        self.host = self._calls.host
        # Not through the model: it takes any page for an answer.
        status, content = self._calls.ask(lambda: self._calls.get("/apis/v2beta1/healthz"))
        if self._is_multi_user(status, content) and connection.namespace is None:
            if not POD.is_file():
                raise InputError(
                    "this Kubeflow has several users",
                    where=self.host,
                    expected="your namespace",
                    remedy="--namespace NAMESPACE",
                )
            self._calls.namespace = POD.read_text().strip()

    @property
    def namespace(self) -> str | None:
        """The user's namespace; None where there is one user."""
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
        if run.run_id is None:  # the model takes any page for an answer
            raise no_kubeflow(self.host)
        return run

    def get_v1beta1(self, run_id: str) -> dict[str, Any] | None:
        """A run as the v1beta1 API has it, with its Argo workflow; None if that does not answer.

        Raises:
            InputError: If the user may not ask for it.
            ClusterError: If the server fails.
        """
        path = f"/apis/v1beta1/runs/{quote(run_id)}"
        status, content = self._calls.ask(lambda: self._calls.get(path), f"run {run_id}")
        try:
            answer = json.loads(content) if status == 200 else None
        except ValueError:  # a UI answers with its page
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
        """A run by its id, or by its name where only one has it.

        Raises:
            InputError: If none or several have it.
        """
        if is_uuid(name):
            return self.get_run(name)
        found = list(self.runs(name=name))
        if len(found) == 1:
            return self.get_run(found[0].run_id)
        raise InputError(
            f"there is no run '{name}'" if not found else f"{len(found)} runs are called '{name}'",
            where=place(self.host, self.namespace),
            expected="a run's id, or a name that one run has",
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
                    **({"filter": _called(name)} if name else {}),
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

        service = self._calls.client.experiments
        found = self._calls.ask(
            lambda: service.experiment_service_list_experiments(
                namespace=self.namespace or "",
                filter=_called(name),
                _request_timeout=TIMEOUT,
            ),
            f"experiment {name}",
        )
        for experiment in found.experiments or []:
            return str(experiment.experiment_id)
        made = self._calls.send(
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
        created = self._calls.send(
            lambda: self._calls.client.runs.run_service_create_run(run, _request_timeout=TIMEOUT),
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
        service = self._calls.client.recurring_runs
        created = self._calls.send(
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

        service = self._calls.client.pipelines
        listed = self._calls.ask(
            lambda: service.pipeline_service_list_pipelines(
                namespace=self.namespace or "",
                filter=_called(name),
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
            made = self._calls.send(
                lambda: service.pipeline_service_create_pipeline(
                    pipeline, _request_timeout=TIMEOUT
                ),
                f"pipeline {name}",
            )
            pipeline_id = str(made.pipeline_id)
        versions = self._calls.ask(
            lambda: service.pipeline_service_list_pipeline_versions(
                pipeline_id,
                filter=_called(version),
                _request_timeout=TIMEOUT,
            ),
            f"version {version}",
        )
        for known in versions.pipeline_versions or []:
            return pipeline_id, str(known.pipeline_version_id)
        uploaded = self._calls.send(
            lambda: self._calls.client.pipeline_uploads.upload_pipeline_version(
                str(file), name=version, pipelineid=pipeline_id, _request_timeout=TIMEOUT
            ),
            f"version {version}",
        )
        return pipeline_id, str(uploaded.pipeline_version_id)

    def terminate(self, run_id: str) -> None:
        """Ask for a run to be cancelled."""
        self._calls.send(
            lambda: self._calls.client.runs.run_service_terminate_run(
                run_id, _request_timeout=TIMEOUT
            ),
            f"run {run_id}",
        )

    def read_log(self, run_id: str, pod: str) -> str | None:
        """What a pod's main container printed; None if the pod is gone or is not called so.

        The API has it, and where the host is the UI, the UI's server.
        """
        namespace = self.namespace or _NAMESPACE
        query = urlencode({"podname": pod, "runid": run_id, "podnamespace": namespace})
        for path in (
            f"/apis/v1alpha1/runs/{quote(run_id)}/nodes/{quote(pod)}/log",
            f"/k8s/pod/logs?{query}",
        ):
            try:
                status, content = self._calls.once(lambda path=path: self._calls.get(path), "log")  # type: ignore[misc]
            except BusyError:  # HTTP 500 is also how a pod is said to be gone
                continue
            # For what it does not know, the UI answers with its page.
            if status == 200 and not content.lstrip()[:9].lower().startswith(
                (b"<!doctype", b"<html")
            ):
                return content.decode("utf-8", errors="replace")
        return None

    def _is_multi_user(self, status: int, content: bytes) -> bool:
        try:
            health = json.loads(content)
        except ValueError:
            health = None
        if status != 200 or not isinstance(health, dict):
            raise no_kubeflow(self.host)
        return bool(health.get("multi_user"))


def _called(name: str) -> str:
    """The API's filter for what is called so."""
    wanted = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [wanted]})
