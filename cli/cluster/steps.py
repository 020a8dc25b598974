"""The steps of a cluster run, with its workflow or, if the server does not return it, without."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kfp_finetune.cli.cluster.submit import Spec
from kfp_finetune.cli.cluster.workflow import Node, Workflow

# Argo's messages for pods that it ended because the workflow was terminated.
_ENDED_BY_CLUSTER = re.compile("deadline|shutdown|terminated", re.IGNORECASE)
_FAILED = ("Failed", "Error")
# Seconds that a pod may wait before a remedy is printed.
LONG_WAIT = 60.0
# Messages of every pod while it starts.
_USUAL = ("PodInitializing", "ContainerCreating")


@dataclass(frozen=True)
class Task:
    """A task of the compiled pipeline; in a loop, of one trial.

    Attributes:
        name: Its name in the compiled pipeline: "count-steps".
        key: Its key in `run.json`: "count_steps", "0/finetune".
        title: Its title for people: "2/6 linear, seed 1: finetune".
        trial: The number of the trial, from 0; None outside loops.
        candidate: The name of the trial: "linear, seed 1"; "" outside loops.
        item: The item of the loop in this trial.
        artifacts: The names of its output artifacts.
        retries: Maximum number of retries.
        memory: Its memory limit, such as "16Gi"; "" if it has none.
        image: Its image.
    """

    name: str
    key: str
    title: str
    trial: int | None
    candidate: str
    item: Any
    artifacts: tuple[str, ...]
    retries: int
    memory: str
    image: str

    @classmethod
    def of(
        cls,
        spec: Spec,
        name: str,
        task: Mapping[str, Any],
        trial: int | None = None,
        candidate: str = "",
        title: str = "",
        item: Any = None,
    ) -> Task:
        """Create a task from the compiled pipeline."""
        component = (spec.pipeline.get("components") or {}).get(task["componentRef"]["name"], {})
        executors = (spec.pipeline.get("deploymentSpec") or {}).get("executors") or {}
        container = executors.get(component.get("executorLabel"), {}).get("container") or {}
        resources = container.get("resources") or {}
        step = name.replace("-", "_")
        return cls(
            name=name,
            key=step if trial is None else f"{trial}/{step}",
            title=title or step,
            trial=trial,
            candidate=candidate,
            item=item,
            artifacts=tuple((component.get("outputDefinitions") or {}).get("artifacts") or {}),
            retries=int((task.get("retryPolicy") or {}).get("maxRetryCount") or 0),
            memory=str(resources.get("resourceMemoryLimit") or ""),
            image=str(container.get("image") or ""),
        )


@dataclass(frozen=True)
class Attempt:
    """One pod of a step.

    Attributes:
        pod: The pod's name.
        number: Its number, from 0.
        phase: Argo's phase: "Pending", "Running", "Succeeded", "Failed" or "Error".
        message: The reason why it waits or has failed.
        exit_code: The exit code of its main container, KFP's launcher; None if there is none.
        started: Its creation time.
        ended: Its end time.
        progress: Units done and in total, as last reported; None if it reports none.
    """

    pod: str
    number: int
    phase: str
    message: str
    exit_code: int | None
    started: datetime | None
    ended: datetime | None
    progress: tuple[int, int] | None


@dataclass(frozen=True)
class Step:
    """A step of a run.

    Attributes:
        task: The task.
        state: "not_started", "starting" (KFP prepares its pod), "waiting" (its pod cannot start
            yet), "running", "done", "cached", "failed" or "terminated".
        message: Argo's reason why it waits or has failed; "" if there is none.
        attempts: Its pods, oldest first.
        drivers: The pods in which KFP prepared it, oldest first.
        started: The creation time of its first pod; None if it has not started.
        ended: Its end time.
        inputs: URIs of its input artifacts, by name.
        outputs: URIs of its output artifacts; empty for a step from the cache.
    """

    task: Task
    state: str
    message: str = ""
    attempts: tuple[Attempt, ...] = ()
    drivers: tuple[Attempt, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its key in `run.json`: "count_steps", "0/finetune"."""
        return self.task.key

    @property
    def title(self) -> str:
        """Its title for people: "2/6 linear, seed 1: finetune"."""
        return self.task.title

    @property
    def seconds(self) -> float | None:
        """Its duration so far; None before it has started."""
        if self.started is None:
            return None
        return max(0.0, ((self.ended or datetime.now(UTC)) - self.started).total_seconds())

    @property
    def progress(self) -> tuple[int, int] | None:
        """Units done and in total, from the running pod; None if it reports none."""
        return self.attempts[-1].progress if self.attempts and self.state == "running" else None

    @property
    def waited(self) -> float:
        """Seconds since its last pod was created."""
        pods = self.attempts or self.drivers
        started = pods[-1].started if pods else None
        return (datetime.now(UTC) - started).total_seconds() if started else 0.0

    @property
    def waits(self) -> bool:
        """Return True if the reason why its pod does not start should be reported now."""
        usual = self.state == "starting" and self.waited < LONG_WAIT
        return self.state in ("waiting", "starting") and bool(self.message) and not usual

    @property
    def failed_in_driver(self) -> bool:
        """Return True if KFP failed to prepare it, so that it never ran."""
        return self.state == "failed" and not self.attempts and bool(self.drivers)


def from_workflow(task: Task, workflow: Workflow, *, terminated: bool) -> Step:
    """The state of a step according to its workflow.

    A task is a node; the node of its driver has the name TASK-driver and belongs to the same DAG.
    The task's own DAG contains its pods, named executor. If Argo may retry, each of them is a node
    for all attempts, with an additional node NAME(N) for each attempt.

    Args:
        task: The task.
        workflow: The run's workflow.
        terminated: Whether the run was terminated.
    """
    own = workflow.by_task.get((task.trial, task.name), [])
    drivers = workflow.by_task.get((task.trial, f"{task.name}-driver"), [])
    pods = [n for n in workflow.within(own) if n.kind == "Pod" and n.task == "executor"]
    attempts, prepared = _attempts(pods), _attempts(n for n in drivers if n.kind == "Pod")
    state, message = _state(own, drivers, attempts, prepared, terminated=terminated)
    patches = [n.outputs.get("pod-spec-patch") for n in drivers]
    inputs, outputs = _artifacts(next((patch for patch in patches if patch), ""))
    began = [a.started for a in attempts or prepared if a.started]
    over = state in ("done", "cached", "failed", "terminated")
    ends = [n.ended for n in (own or drivers) if n.ended] if over else []
    if attempts and over and state != "terminated":
        ends = [a.ended for a in attempts if a.ended] or ends
    return Step(
        task,
        state,
        message,
        attempts,
        prepared,
        started=min(began, default=None) if state not in ("not_started", "cached") else None,
        ended=max(ends, default=None),
        inputs=inputs,
        outputs=outputs,
    )


def of_kfp(workflow: Workflow, tasks: Collection[str]) -> list[Step]:
    """Return KFP's own preparations that wait or have failed, as steps.

    Args:
        workflow: The run's workflow.
        tasks: The names of the tasks whose preparation is part of a step.
    """
    found = []
    for (trial, name), nodes in workflow.by_task.items():
        pods = _attempts(n for n in nodes if n.kind == "Pod")
        if not name.endswith("-driver") or name.removesuffix("-driver") in tasks or not pods:
            continue
        last = pods[-1]
        state = "failed" if last.phase in _FAILED else _pending(last)[0]
        if state != "failed" and (last.phase != "Pending" or not last.message):
            continue
        where = "" if trial is None else f" {trial + 1}"
        key = name.replace("-", "_") + where.replace(" ", "_")
        task = Task(name, key, f"KFP's {name}{where}", None, "", None, (), 0, "", "")
        found.append(Step(task, state, last.message, (), pods, last.started, last.ended))
    return found


def _attempts(nodes: Iterable[Node]) -> tuple[Attempt, ...]:
    found = [
        Attempt(
            pod=node.pod,
            number=max(node.attempt, 0),
            phase=node.phase,
            message=node.message,
            exit_code=int(node.outputs["exit-code"]) if "exit-code" in node.outputs else None,
            started=node.started,
            ended=node.ended,
            progress=node.progress,
        )
        for node in nodes
    ]
    return tuple(sorted(found, key=lambda a: (a.number, str(a.started))))


def _state(
    own: Sequence[Node],
    drivers: Sequence[Node],
    attempts: Sequence[Attempt],
    prepared: Sequence[Attempt],
    *,
    terminated: bool,
) -> tuple[str, str]:
    """A step's state, and the reason for it."""
    whole = next((n for n in own if n.attempt < 0), own[-1] if own else None)
    driver = next((n for n in drivers if n.attempt < 0), drivers[-1] if drivers else None)
    last = (attempts or prepared or (None,))[-1]
    message = (last.message if last else "") or (whole.message if whole else "")
    served = any(n.outputs.get("cached-decision") == "true" for n in drivers)
    if served and whole is not None and whole.phase == "Succeeded":
        return "cached", ""
    failed_driver = driver is not None and driver.phase in _FAILED
    if (whole is not None and whole.phase in _FAILED) or failed_driver:
        ended = terminated and bool(_ENDED_BY_CLUSTER.search(message))
        return ("terminated" if ended else "failed"), message
    if whole is None or whole.phase in ("Omitted", "Skipped"):
        if driver is None or driver.phase in ("Omitted", "Skipped"):
            return "not_started", ""
        return _pending(last)
    if whole.phase == "Succeeded":
        return "done", ""
    if last is not None and attempts and last.phase == "Running":
        return "running", ""
    if last is not None and last.phase in _FAILED:
        # Argo decides only later if it is retried.
        return "starting", f"its pod ended: {last.message.removeprefix('main: ') or last.phase}"
    return _pending(last)


def _pending(pod: Attempt | None) -> tuple[str, str]:
    """The state of a step whose pod has not started, and Argo's message."""
    if pod is None or pod.phase != "Pending" or not pod.message:
        return "starting", ""
    return ("starting" if pod.message in _USUAL else "waiting"), pod.message


def _artifacts(patch: str) -> tuple[dict[str, str], dict[str, str]]:
    """URIs of a step's input and output artifacts, which KFP's driver passes to its launcher."""
    try:
        command = json.loads(patch)["containers"][0]["command"]
        given = json.loads(command[command.index("--executor_input") + 1])
    except (ValueError, KeyError, IndexError, TypeError):
        return {}, {}

    def uris(side: str) -> dict[str, str]:
        found = (given.get(side) or {}).get("artifacts") or {}
        return {
            name: value["artifacts"][0]["uri"]
            for name, value in found.items()
            if value.get("artifacts") and value["artifacts"][0].get("uri")
        }

    return uris("inputs"), uris("outputs")


def from_details(tasks: Iterable[Task], run: Any) -> list[Step]:
    """Steps from the v2beta1 API only, without reasons, pods and cache information.

    Its tasks have no trial of a loop, so all tasks of a loop are combined to one step.
    """
    details = (run.run_details.task_details if run.run_details else None) or []
    found: dict[str, Step] = {}
    for task in tasks:
        if task.name in found:
            continue
        own = [d for d in details if d.display_name == task.name]
        begun = [d for d in details if d.display_name == f"{task.name}-driver" and d.state]
        states = {d.state for d in own if d.state}
        if "FAILED" in states or any(d.state == "FAILED" for d in begun):
            state = "failed"
        elif states & {"RUNNING", "PENDING"} or (begun and not states):
            state = "running" if states else "starting"
        else:
            state = "done" if states or run.state == "SUCCEEDED" else "not_started"
        times = [d for d in own if d.state and d.start_time and d.start_time.year > 1970]
        ends = [d.end_time for d in times if d.end_time and d.end_time.year > 1970]
        found[task.name] = Step(
            task if task.trial is None else _of_all(task),
            state,
            started=min((d.start_time for d in times), default=None),
            ended=max(ends) if ends and state in ("done", "failed") else None,
        )
    return list(found.values())


def _of_all(task: Task) -> Task:
    step = task.name.replace("-", "_")
    return Task(
        name=task.name,
        key=step,
        title=f"all candidates: {step}",
        trial=None,
        candidate="",
        item=None,
        artifacts=task.artifacts,
        retries=task.retries,
        memory=task.memory,
        image=task.image,
    )
