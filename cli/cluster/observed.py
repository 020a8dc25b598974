"""A cluster run as the server shows it: its specification, its steps, and what is not known of it.

This is the one place that reads the answers of `GET /apis/v2beta1/runs/ID`, and of
`GET /apis/v1beta1/runs/ID`, which has the Argo workflow. A server may not answer the second; the
steps then have no reasons, no pods and no origins, and `ObservedRun.unknown` says so.
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
        spec: Its compiled pipeline, also where the API gives only the version that it refers to.
        workflow: Its Argo workflow; None if the server does not give it.
        unknown: What is not known of its steps, and why; "" if nothing is missing.
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
        """The name of its pipeline, as Kubeflow knows it."""
        return str((self.spec.pipeline.get("pipelineInfo") or {}).get("name", ""))

    @property
    def status(self) -> str:
        """One of "running", "succeeded", "failed" and "terminated"."""
        return status_of(self.run)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return is_over(self.run)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Its parameters: those that were given, over the pipeline's defaults."""
        declared = (self.spec.pipeline.get("root") or {}).get("inputDefinitions") or {}
        defaults = {
            name: d["defaultValue"]
            for name, d in (declared.get("parameters") or {}).items()
            if "defaultValue" in d
        }
        return defaults | given_parameters(self.run)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Its steps in an order in which they run; each candidate's are steps of their own."""
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
        """Its steps, and before them what KFP itself does where that waits or has failed.

        A pod of KFP's prepares every DAG: the run as a whole, and each trial of a loop.
        """
        if self.workflow is None:
            return self.steps
        return (*of_kfp(self.workflow, {s.task.name for s in self.steps}), *self.steps)

    def tasks(self) -> Iterator[Task]:
        """The tasks that it is to run; those in a loop once for each trial."""
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
    """Return a loop's item as a candidate; other pipelines may loop over anything."""
    if isinstance(item, Mapping) and {"name", "seed"} <= item.keys():
        return item
    return {"name": str(item), "seed": None}


def observe(cluster: Cluster, run: Any) -> ObservedRun:
    """Request everything that the server has of a run.

    Args:
        cluster: Where it runs.
        run: The API's V2beta1Run.

    Raises:
        ClusterError: If the cluster does not answer at all.
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
        unknown = "not known: the steps (the server no longer has the run's pipeline)"
    else:
        unknown = f"not known: {_UNKNOWN} ({why})" if why else ""
    return ObservedRun(run, spec, workflow, unknown)


def find(cluster: Cluster, name: str) -> ObservedRun:
    """A run by its id or name, observed.

    Raises:
        InputError: If none or several have the name.
    """
    return observe(cluster, cluster.find_run(name))


def is_over(run: Any) -> bool:
    """Whether a run has ended; a terminated one may show it only by its end time."""
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
    """Whether two v2beta1 answers show the same state of a run and its tasks."""

    def states(run: Any) -> tuple[Any, ...]:
        details = (run.run_details.task_details if run.run_details else None) or []
        return run.state, sorted((d.task_id or "", d.state or "") for d in details)

    return states(before) == states(after)


def has_time(value: datetime | None) -> bool:
    """Whether it is a time, and not the API's 1970 for none."""
    return value is not None and value.year > 1970


def given_parameters(run: Any) -> dict[str, Any]:
    """The parameters that a run was started with."""
    return dict((run.runtime_config.parameters if run.runtime_config else None) or {})


def _v1beta1(cluster: Cluster, run_id: str) -> dict[str, Any] | None:
    """The v1beta1 answer; None if the server has none, or may not be asked for it."""
    try:
        return cluster.get_v1beta1(run_id)
    except (InputError, ClusterError):
        return None


def _referred(cluster: Cluster, run: Any, answer: Mapping[str, Any] | None) -> Spec:
    """The pipeline of a run that only refers to an uploaded version; empty if nothing has it."""
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
    except InputError:  # it has been deleted, or may not be seen
        return Spec({}, {})
    return replace(spec, version=version)
