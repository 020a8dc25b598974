"""Which run made what a cached step took over.

A step that came from the cluster's cache has left nothing under its own run, and the API does not
say where it came from. It came from a run in which the step had the same inputs, and the steps
before it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kfp_finetune.cli.cluster.submit import Spec


def candidates(run: Any, step: str, runs: Iterable[Any]) -> Iterator[Any]:
    """Earlier runs in which a step had the same inputs, the newest first.

    Args:
        run: The run in which the step came from the cache.
        step: The task's name in the compiled pipeline.
        runs: All runs, the newest first.
    """
    wanted = _inputs_of(run, step)
    for other in runs:
        earlier = other.run_id != run.run_id and other.created_at <= run.created_at
        if earlier and _inputs_of(other, step) == wanted:
            yield other


def _inputs_of(run: Any, step: str) -> str | None:
    """Everything that determines a step's outputs, as text; None if it has no such step."""
    spec = Spec.of_run(run)
    if step not in spec.tasks:
        return None
    declared = spec.pipeline["root"].get("inputDefinitions", {}).get("parameters", {})
    values = {name: d.get("defaultValue") for name, d in declared.items()}
    values |= (run.runtime_config.parameters if run.runtime_config else None) or {}
    parts = {name: _own(spec, name, values) for name in _with_those_before(spec.tasks, step)}
    return json.dumps(parts, sort_keys=True, default=str)


def _own(spec: Spec, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    task = spec.tasks[name]
    component = spec.pipeline["components"][task["componentRef"]["name"]]
    executor = spec.pipeline["deploymentSpec"]["executors"].get(component.get("executorLabel"), {})
    container = executor.get("container", {})
    given = task.get("inputs", {}).get("parameters", {})
    return {
        "arguments": {
            key: values.get(source["componentInputParameter"])
            if "componentInputParameter" in source
            else source
            for key, source in given.items()
        },
        "container": {key: container.get(key) for key in ("image", "command", "args")},
    }


def _with_those_before(tasks: Mapping[str, Any], step: str) -> set[str]:
    found, waiting = set(), [step]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += tasks[name].get("dependentTasks", [])
    return found
