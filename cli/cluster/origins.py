"""Find the run that computed a cached step, if no later step has recorded it.

A step that came from the cluster's cache has no outputs in its own run. KFP's cache uses the newest
step that succeeded before with the same inputs, in the same pipeline; so does this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.observed import ObservedRun, observe
from kfp_finetune.cli.cluster.steps import Step, Task
from kfp_finetune.cli.cluster.submit import Spec
from kfp_finetune.components.errors import InputError

_ITEM_KEY = re.compile(r'\["([^"]+)"\]')


class Origins:
    """The earlier runs that a run's cached steps may have come from.

    Args:
        cluster: The run's cluster.
        run: The run whose steps came from the cache.
    """

    def __init__(self, cluster: Cluster, run: ObservedRun) -> None:
        self._cluster = cluster
        self._run = run
        self._earlier: list[ObservedRun] | None = None
        self._observed: dict[str, ObservedRun] = {}
        self._versions: dict[str, Spec] = {}

    def of(self, step: Step, inputs: Mapping[str, str]) -> Iterator[tuple[ObservedRun, Step]]:
        """Earlier successful steps with the same inputs, newest run first.

        Args:
            step: The step that came from the cache.
            inputs: The known URIs of its input artifacts.
        """
        wanted = identity(self._run, step.task)
        for other in self._runs():
            if other.pipeline != self._run.pipeline:
                continue
            same = {
                task.key
                for task in other.tasks()
                if task.name == step.task.name and identity(other, task) == wanted
            }
            if not same:
                continue
            other = self._whole(other)
            for found in other.steps:
                agrees = all(inputs.get(n, uri) == uri for n, uri in found.inputs.items())
                early = step.ended is None or found.ended is None or found.ended <= step.ended
                if found.key in same and found.state == "done" and agrees and early:
                    yield other, found

    def _runs(self) -> list[ObservedRun]:
        """The runs before this one, newest first, without their workflows."""
        if self._earlier is None:
            self._earlier = [
                ObservedRun(run, self._spec(run), None, "")
                for run in self._cluster.runs()
                if run.run_id != self._run.id and run.created_at <= self._run.run.created_at
            ]
        return self._earlier

    def _spec(self, run: Any) -> Spec:
        spec = Spec.of_run(run)
        if spec.tasks:
            return spec
        reference = run.pipeline_version_reference
        version = str(reference.pipeline_version_id if reference else "") or run.run_id
        if version not in self._versions:
            self._versions[version] = observe(self._cluster, run).spec
        return self._versions[version]

    def _whole(self, other: ObservedRun) -> ObservedRun:
        if other.id not in self._observed:
            try:
                self._observed[other.id] = observe(self._cluster, self._cluster.get_run(other.id))
            except InputError:  # deleted since it was listed
                self._observed[other.id] = other
        return self._observed[other.id]


def identity(run: ObservedRun, task: Task) -> str:
    """Everything that determines a task's outputs, as text: its inputs and earlier tasks."""
    root = run.spec.tasks
    within = loop_of(run.spec, task)
    if within is None:
        parts = {n: _own(run, root[n], run.parameters) for n in _before(root, [task.name])}
    else:
        loop, inner = within
        scope = _scope(run, loop, task.item)
        above = _before(root, loop.get("dependentTasks", []))
        parts = {f"above {n}": _own(run, root[n], run.parameters) for n in above}
        parts |= {n: _own(run, inner[n], scope) for n in _before(inner, [task.name])}
    return json.dumps([run.pipeline, parts], sort_keys=True, default=str)


def loop_of(spec: Spec, task: Task) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The loop that contains a task, with the loop's tasks; None if there is none."""
    if task.trial is None:
        return None
    components = spec.pipeline.get("components") or {}
    for loop in spec.tasks.values():
        inner = components.get(loop["componentRef"]["name"], {}).get("dag", {}).get("tasks", {})
        if task.name in inner:
            return loop, inner
    return None


def _scope(run: ObservedRun, loop: Mapping[str, Any], item: Any) -> dict[str, Any]:
    """The values passed to the tasks of a loop, by their names in the loop."""
    inputs = (loop.get("inputs") or {}).get("parameters") or {}
    values = {name: _resolved(source, run.parameters) for name, source in inputs.items()}
    return values | {(loop.get("parameterIterator") or {}).get("itemInput", ""): item}


def _own(run: ObservedRun, task: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    component = (run.spec.pipeline.get("components") or {}).get(task["componentRef"]["name"], {})
    executors = (run.spec.pipeline.get("deploymentSpec") or {}).get("executors") or {}
    container = executors.get(component.get("executorLabel"), {}).get("container", {})
    given = (task.get("inputs") or {}).get("parameters") or {}
    return {
        "arguments": {name: _resolved(source, scope) for name, source in given.items()},
        "container": {key: container.get(key) for key in ("image", "command", "args")},
    }


def _resolved(source: Mapping[str, Any], scope: Mapping[str, Any]) -> Any:
    """A parameter's value, or the task that returns it."""
    if "componentInputParameter" in source:
        value = scope.get(source["componentInputParameter"])
        if key := _ITEM_KEY.search(source.get("parameterExpressionSelector", "")):
            value = value.get(key[1]) if isinstance(value, Mapping) else None
    elif "runtimeValue" in source:
        value = source["runtimeValue"].get("constant")
    else:
        return dict(source)
    # The API has 32.0 for 32, an uploaded pipeline's YAML has 32.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _before(tasks: Mapping[str, Any], names: list[str]) -> set[str]:
    """Tasks together with all tasks that they depend on."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in tasks and name not in found:
            found.add(name)
            waiting += tasks[name].get("dependentTasks", [])
    return found
