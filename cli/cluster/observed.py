"""A cluster run as the server reports it: specification, steps, and what is unknown.

Only this module reads the responses of `GET /apis/v2beta1/runs/ID`, and of
`GET /apis/v1beta1/runs/ID`, which has the Argo workflow. If a server does not support the second,
the steps have no reasons, pods and origins, and `ObservedRun.unknown` explains this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from kfp_finetune.cli.cluster.answers import ClusterError
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.steps import Step, Task, from_details, from_workflow, of_kfp
from kfp_finetune.cli.cluster.submit import Spec
from kfp_finetune.cli.cluster.workflow import Workflow
from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines.parameters import in_order
from kfp_finetune.progress.trials import Trials

_ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
NO_WORKFLOW = "the server does not answer GET /apis/v1beta1/runs/ID"
_UNKNOWN = "which steps came from the cache, why a pod waits and how it ended"


@dataclass(frozen=True)
class ObservedRun:
    """A run.

    Attributes:
        run: The API's V2beta1Run.
        spec: Its compiled pipeline, even if the API returns only a reference to its version.
        workflow: Its Argo workflow; None if the server does not return it.
        unknown: The unknown properties of its steps, and why; "" if nothing is missing.
    """

    run: Any
    spec: Spec
    workflow: Workflow | None
    unknown: str

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.run.run_id)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.run.display_name or self.run.run_id)

    @property
    def pipeline(self) -> str:
        """The name of its pipeline in Kubeflow."""
        return str((self.spec.pipeline.get("pipelineInfo") or {}).get("name", ""))

    @property
    def status(self) -> str:
        """One of "running", "succeeded", "failed" and "terminated"."""
        return status_of(self.run)

    @property
    def is_over(self) -> bool:
        """Return True if it has ended."""
        return is_over(self.run)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Its parameters: the given ones override the pipeline's defaults."""
        declared = (self.spec.pipeline.get("root") or {}).get("inputDefinitions") or {}
        defaults = {
            name: d["defaultValue"]
            for name, d in (declared.get("parameters") or {}).items()
            if "defaultValue" in d
        }
        return defaults | given_parameters(self.run)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Its steps in execution order, separately for each candidate."""
        terminated = self.status == "terminated"
        unfinished = ["running", "waiting", "starting"]
        if self.workflow is not None and not self.workflow.unknown:
            found = [
                from_workflow(task, self.workflow, terminated=terminated) for task in self.tasks()
            ]
        else:
            found = from_details(self.tasks(), self.run)
            unfinished += ["failed"] if terminated else []
        if self.is_over:
            found = [
                replace(step, state="terminated") if step.state in unfinished else step
                for step in found
            ]
        return tuple(found)

    @cached_property
    def shown(self) -> tuple[Step, ...]:
        """Its steps, preceded by KFP's own preparations that wait or have failed.

        A pod of KFP prepares every DAG: the run as a whole, and each trial of a loop.
        """
        if self.workflow is None:
            return self.steps
        return (*of_kfp(self.workflow, {s.task.name for s in self.steps}), *self.steps)

    def tasks(self) -> Iterator[Task]:
        """The planned tasks; those in a loop once for each trial."""
        components = self.spec.pipeline.get("components") or {}
        tasks = self.spec.tasks
        for name in in_order(tasks):
            component = components.get(tasks[name]["componentRef"]["name"], {})
            if "dag" not in component:
                yield Task.of(self.spec, name, tasks[name])
                continue
            items = self._items(tasks[name])
            trials = Trials([named(item) for item in items])
            for trial, item in enumerate(items):
                inner = component["dag"]["tasks"]
                for below in in_order(inner):
                    titles = trials.name(trial), trials.title(f"{trial}/{below.replace('-', '_')}")
                    yield Task.of(self.spec, below, inner[below], trial, *titles, item=item)

    def _items(self, loop: Mapping[str, Any]) -> list[Any]:
        """Return the items of a loop."""
        items = (loop.get("parameterIterator") or {}).get("items") or {}
        if "raw" in items:
            return list(json.loads(items["raw"]))
        source = loop["inputs"]["parameters"].get(items.get("inputParameter"), {})
        value = self.parameters.get(source.get("componentInputParameter", ""))
        return list(value or [])


def named(item: Any) -> Mapping[str, Any]:
    """Return a loop's item as a candidate; in other pipelines it can be anything."""
    if isinstance(item, Mapping) and {"name", "seed"} <= item.keys():
        return item
    return {"name": str(item), "seed": None}


def observe(cluster: Cluster, run: Any) -> ObservedRun:
    """Request everything that the server knows about a run.

    Args:
        cluster: The run's cluster.
        run: The API's V2beta1Run.

    Raises:
        ClusterError: If the cluster does not respond at all.
    """
    answer = _v1beta1(cluster, run.run_id)
    spec = Spec.of_run(run)
    if not spec.tasks:
        spec = _referred(cluster, run, answer)
    manifest = ((answer or {}).get("pipeline_runtime") or {}).get("workflow_manifest")
    workflow = None
    if manifest:
        try:
            workflow = Workflow.of_text(manifest)
        except (ValueError, KeyError, TypeError):
            workflow = None
    why = NO_WORKFLOW if workflow is None else workflow.unknown
    if not spec.tasks:
        unknown = "unknown: the steps (the server no longer has the run's pipeline)"
    else:
        unknown = f"unknown: {_UNKNOWN} ({why})" if why else ""
    return ObservedRun(run, spec, workflow, unknown)


def find(cluster: Cluster, name: str) -> ObservedRun:
    """Observe a run, given by its id or name.

    Raises:
        InputError: If no run or several runs have this name.
    """
    return observe(cluster, cluster.find_run(name))


def is_over(run: Any) -> bool:
    """Return True if a run has ended; a terminated one may have only an end time."""
    if run.state in _ENDED:
        return True
    return run.state == "CANCELING" and has_time(run.finished_at)


def status_of(run: Any) -> str:
    """Return "running", "succeeded", "failed" or "terminated".

    A terminated run ends as FAILED; its history shows that it was terminated.
    """
    if run.state == "SUCCEEDED":
        return "succeeded"
    if not is_over(run):
        return "running"
    states = [entry.state for entry in run.state_history or []]
    last_run = max((i for i, state in enumerate(states) if state == "RUNNING"), default=-1)
    canceled = run.state in ("CANCELED", "CANCELING") or "CANCELING" in states[last_run + 1 :]
    return "terminated" if canceled else "failed"


def unchanged(before: Any, after: Any) -> bool:
    """Return True if two v2beta1 responses have the same state of a run and its tasks."""

    def states(run: Any) -> tuple[Any, ...]:
        details = (run.run_details.task_details if run.run_details else None) or []
        return run.state, sorted((d.task_id or "", d.state or "") for d in details)

    return states(before) == states(after)


def has_time(value: datetime | None) -> bool:
    """Return True for a time other than 1970, which the API returns for none."""
    return value is not None and value.year > 1970


def given_parameters(run: Any) -> dict[str, Any]:
    """The parameters that a run was started with."""
    return dict((run.runtime_config.parameters if run.runtime_config else None) or {})


def _v1beta1(cluster: Cluster, run_id: str) -> dict[str, Any] | None:
    """The v1beta1 response; None if the server has none, or the user has no permission."""
    try:
        return cluster.get_v1beta1(run_id)
    except (InputError, ClusterError):
        return None


def _referred(cluster: Cluster, run: Any, answer: Mapping[str, Any] | None) -> Spec:
    """The pipeline of a run that only refers to an uploaded version; empty if it is gone."""
    reference = run.pipeline_version_reference
    version = None
    if reference is not None and reference.pipeline_version_id:
        version = (str(reference.pipeline_id), str(reference.pipeline_version_id))
    text = ((answer or {}).get("run") or {}).get("pipeline_spec", {}).get("pipeline_manifest")
    if text:
        import yaml

        documents = [part for part in yaml.safe_load_all(text) if part]
        return Spec(documents[0], documents[1] if len(documents) > 1 else {}, version)
    if version is None:
        return Spec({}, {})
    try:
        spec = Spec.of_run(cluster.version(*version))
    except InputError:  # it has been deleted, or the user has no permission
        return Spec({}, {})
    return replace(spec, version=version)
