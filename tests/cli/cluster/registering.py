"""The part of the small Kubeflow that takes things: runs, schedules, experiments, pipelines.

What it answers has the fields that KFP 2.17.0 answered, which `recordings/created.json` holds;
`test_registering.py` compares them.
"""

from __future__ import annotations

import json
import uuid
import zlib
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_plus

import kfp_server_api as api

_API = api.ApiClient()
_NAMESPACE = "kubeflow"
_ACCOUNT = "pipeline-runner"
# VARCHAR(255): a longer name of a run is an error of the database, after its workflow was made.
_LONGEST_RUN_NAME = 255
_LONGEST_NAME = {"Experiment": 128, "Pipeline": 128, "PipelineVersion": 127}


def model(kind: str, body: Any) -> Any:
    """The received body, as one of the API's models."""
    return _API.deserialize(SimpleNamespace(data=json.dumps(body)), kind)


def filtered(items: list[Any], query: dict[str, str]) -> list[Any]:
    """Those that the API's filter admits."""
    if "filter" not in query:
        return items
    # KFP unquotes it although HTTP has done so.
    (wanted,) = json.loads(unquote_plus(query["filter"]))["predicates"]
    assert wanted["operation"] == "EQUALS"
    return [item for item in items if getattr(item, wanted["key"]) == wanted["stringValue"]]


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class Registering:
    """The objects created on the server."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}
        self.experiments: dict[str, Any] = {}
        self.schedules: dict[str, Any] = {}
        self.pipelines: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.uploads: list[bytes] = []

    def add_run(self, **fields: Any) -> Any:
        raise NotImplementedError

    def start(self, schedule: Any, at: datetime) -> Any:
        """Start a scheduled run, as the schedule's controller does: with a name of its own."""
        number = 1 + sum(
            r.recurring_run_id == schedule.recurring_run_id for r in self.runs.values()
        )
        resource = f"{schedule.display_name.lower()[:6]}h6vh2-{number}"
        return self.add_run(
            display_name=f"{resource}-{zlib.crc32(resource.encode())}",
            recurring_run_id=schedule.recurring_run_id,
            experiment_id=schedule.experiment_id,
            pipeline_spec=schedule.pipeline_spec,
            pipeline_version_reference=schedule.pipeline_version_reference,
            runtime_config=schedule.runtime_config,
            storage_state="AVAILABLE",
            created_at=at.replace(second=15),
            scheduled_at=at,
            state="RUNNING",
            state_history=[api.V2beta1RuntimeStatus(update_time=at, state="RUNNING")],
        )

    def _create_run(self, body: Any) -> tuple[int, Any]:
        run = model("V2beta1Run", body)
        now = _now()
        fields = {name: getattr(run, name) for name in run.openapi_types} | {
            "service_account": run.service_account or _ACCOUNT,
            "storage_state": "AVAILABLE",
            "scheduled_at": now,
            "state": "PENDING",
            "state_history": [api.V2beta1RuntimeStatus(update_time=now, state="PENDING")],
        }
        made = self.add_run(**{name: v for name, v in fields.items() if v is not None})
        if len(run.display_name) > _LONGEST_RUN_NAME:
            return 500, {
                "message": "Failed to create a run: Data too long for column 'DisplayName'"
            }
        return 200, made

    def _get_experiments(self, rest: Any, query: dict[str, str], body: Any) -> tuple[int, Any]:
        found = filtered(list(self.experiments.values()), query)
        return 200, api.V2beta1ListExperimentsResponse(experiments=found, total_size=len(found))

    def _post_experiments(self, rest: Any, query: Any, body: Any) -> tuple[int, Any]:
        made = model("V2beta1Experiment", body)
        if refusal := _too_long("Experiment", made.display_name):
            return refusal
        made.experiment_id = str(uuid.uuid4())
        made.storage_state = "AVAILABLE"
        made.created_at = made.last_run_created_at = _now()
        self.experiments[made.experiment_id] = made
        return 200, made

    def _get_recurringruns(
        self, rest: list[str], query: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if rest:
            found = self.schedules.get(rest[0])
            return (200, found) if found is not None else self._no_schedule(rest[0])
        newest = sorted(self.schedules.values(), key=lambda s: s.created_at, reverse=True)
        found = filtered(newest, query)
        return 200, api.V2beta1ListRecurringRunsResponse(
            recurring_runs=found, total_size=len(found)
        )

    def _post_recurringruns(self, rest: list[str], query: Any, body: Any) -> tuple[int, Any]:
        if rest:
            identity, _, action = rest[0].partition(":")
            if identity not in self.schedules:
                return self._no_schedule(identity)
            own = self.schedules[identity]
            own.mode = {"enable": "ENABLE", "disable": "DISABLE"}[action]
            own.status = f"{own.mode}D"
            own.updated_at = _now()
            return 200, {}
        made = model("V2beta1RecurringRun", body)
        made.recurring_run_id = str(uuid.uuid4())
        made.service_account = made.service_account or _ACCOUNT
        made.namespace = made.namespace or _NAMESPACE
        made.created_at = made.updated_at = _now()
        made.status = f"{made.mode}D"
        self.schedules[made.recurring_run_id] = made
        return 200, made

    def _delete_recurringruns(
        self, rest: list[str], query: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if self.schedules.pop(rest[0], None) is None:
            return self._no_schedule(rest[0])
        if query.get("propagation_policy") != "ORPHAN":  # Kubernetes then removes the workflows
            for run in [r for r in self.runs.values() if r.recurring_run_id == rest[0]]:
                del self.runs[run.run_id]
        return 200, {}

    def _no_schedule(self, identity: str) -> tuple[int, Any]:
        return 404, {"code": 5, "message": f"Failed to get a recurring run: {identity} not found"}

    def _get_pipelines(self, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        if len(rest) == 3:  # ID/versions/ID
            found = self.versions.get(rest[2])
            return (200, found) if found is not None else (404, {"message": "not found"})
        if rest:
            versions = [v for v in self.versions.values() if v.pipeline_id == rest[0]]
            return 200, api.V2beta1ListPipelineVersionsResponse(
                pipeline_versions=filtered(versions, query)
            )
        found = filtered(list(self.pipelines.values()), query)
        return 200, api.V2beta1ListPipelinesResponse(pipelines=found, total_size=len(found))

    def _post_pipelines(self, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        if rest == ["upload_version"]:
            import yaml

            if refusal := _too_long("PipelineVersion", query["name"]):
                return refusal
            documents = list(yaml.safe_load_all(body))
            spec = documents[0]
            if len(documents) > 1:
                spec = {"pipeline_spec": documents[0], "platform_spec": documents[1]}
            made = api.V2beta1PipelineVersion(
                pipeline_id=query["pipelineid"],
                pipeline_version_id=str(uuid.uuid4()),
                name=query["name"],
                display_name=query.get("display_name") or query["name"],
                description=query.get("description"),
                created_at=_now(),
                pipeline_spec=spec,
            )
            self.versions[made.pipeline_version_id] = made
            return 200, made
        made = model("V2beta1Pipeline", body)
        if refusal := _too_long("Pipeline", made.name):
            return refusal
        made.pipeline_id = str(uuid.uuid4())
        made.created_at = _now()
        self.pipelines[made.pipeline_id] = made
        return 200, made


def _too_long(kind: str, name: str) -> tuple[int, Any] | None:
    longest = _LONGEST_NAME[kind]
    if len(name.encode()) <= longest:
        return None
    return 400, {"code": 3, "message": f"{kind}.Name length cannot exceed {longest}"}
