"""How far a cluster's run is, step by step, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kfp_finetune.cli.cluster.answers import ClusterError
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.submit import Spec
from kfp_finetune.cli.parameters import in_order
from kfp_finetune.cli.screen import Screen, clean, duration
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import ERROR_LINE, parse_line

SECONDS_BETWEEN_LOOKS = 5.0
# How long a cluster may be out of reach before waiting for it ends.
_PATIENCE = 15 * 60.0
_ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_RUN_STATUS = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "interrupted"}
_EXECUTOR = "executor"
_TEMPLATES = ("system-container-impl", "retry-system-container-impl")


@dataclass(frozen=True)
class StepState:
    """One step of a run.

    Attributes:
        name: The step's name, as everywhere else.
        state: "waiting", "running", "done", "cached", "failed" or "interrupted".
        seconds: How long it took, or has taken; None before it has started.
        pods: Names that its pod may have.
    """

    name: str
    state: str
    seconds: float | None = None
    pods: tuple[str, ...] = ()


def steps_of(run: Any) -> list[StepState]:
    """The steps of a run, in an order in which they run.

    Argo has a node for each step, below it one called "executor", skipped where the outputs came
    from the cache, and where it is retried, one for each attempt below that.
    """
    details = (run.run_details.task_details if run.run_details else None) or []
    by_pod = {task.pod_name: task for task in details if task.pod_name}
    by_name = {task.display_name: task for task in details}
    over = is_over(run)
    return [
        _step(name, by_name.get(name), by_name.get(f"{name}-driver"), by_pod, over)
        for name in in_order(Spec.of_run(run).tasks)
    ]


def _step(name: str, task: Any, driver: Any, by_pod: dict[str, Any], over: bool) -> StepState:
    step = name.replace("-", "_")
    if task is None:
        failed = driver is not None and driver.state == "FAILED"
        started = driver is not None and not over
        return StepState(step, "failed" if failed else "running" if started else "waiting")
    below = list(_below(task, by_pod))
    executors = [node for node in below if (node.display_name or "").startswith(_EXECUTOR)]
    state = {
        "SUCCEEDED": "done", "FAILED": "failed", "CANCELED": "interrupted", "SKIPPED": "waiting",
    }.get(task.state, "interrupted" if over else "running")  # fmt: skip
    if state == "done" and executors and all(node.state == "SKIPPED" for node in executors):
        state = "cached"
    return StepState(step, state, _seconds(task), tuple(_pods(executors)))


def _below(task: Any, by_pod: dict[str, Any]) -> Iterator[Any]:
    for child in task.child_tasks or []:
        if child.pod_name in by_pod and by_pod[child.pod_name] is not task:
            yield by_pod[child.pod_name]
            yield from _below(by_pod[child.pod_name], by_pod)


def _pods(executors: list[Any]) -> Iterator[str]:
    """Names that the pods may have: the newest attempt's first.

    A node is WORKFLOW-NUMBER, its pod WORKFLOW-TEMPLATE-NUMBER; in old clusters they are the same.
    """
    for node in reversed(executors):
        workflow, _, number = node.pod_name.rpartition("-")
        yield from (f"{workflow}-{template}-{number}" for template in _TEMPLATES)
        yield node.pod_name


def _seconds(task: Any) -> float | None:
    if task.start_time is None or task.start_time.year == 1970:
        return None
    end = task.end_time if task.end_time and task.end_time.year > 1970 else datetime.now(UTC)
    return float(max(0.0, (end - task.start_time).total_seconds()))


def is_over(run: Any) -> bool:
    """Whether a run has ended; one that was told to end may say so only by its time."""
    if run.state in _ENDED:
        return True
    finished = run.finished_at is not None and run.finished_at.year > 1970
    return run.state == "CANCELING" and finished


def status_of(run: Any) -> str:
    """A run's status in the words of run.json."""
    return _RUN_STATUS.get(run.state, "interrupted" if is_over(run) else "running")


def wait(cluster: Cluster, run_id: str, screen: Screen) -> Any:
    """Show a run until it has ended.

    Args:
        cluster: Where it runs.
        run_id: Its id.
        screen: Where it is shown.

    Returns:
        The run, which has succeeded.

    Raises:
        InputError: If a step says that the input is wrong.
        ClusterError: If it failed or was cancelled, or the cluster is out of reach for long.
    """
    shown: dict[str, str] = {}
    lost_at: float | None = None
    while True:
        try:
            run = cluster.get_run(run_id)
        except ClusterError as error:
            now = time.monotonic()
            if lost_at is None:
                screen.heading(f"{error}; trying on")
                lost_at = now
            if now - lost_at > _PATIENCE:
                raise
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        lost_at = None
        for step in steps_of(run):
            _show(step, shown, screen)
        if is_over(run):
            break
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if run.state != "SUCCEEDED":
        raise failure_of(cluster, run)
    return run


def _show(step: StepState, shown: dict[str, str], screen: Screen) -> None:
    before = shown.get(step.name, "waiting")
    if step.state == before:
        return
    if before == "waiting":
        screen.started(step.name)
    if step.state != "running":
        took = "" if step.state == "cached" or not step.seconds else duration(step.seconds)
        screen.ended(step.name, step.state, took)
    shown[step.name] = step.state


def failure_of(cluster: Cluster, run: Any) -> Exception:
    """Why a run has not succeeded, as its step says it where its log can be read."""
    if status_of(run) == "interrupted":
        return ClusterError(f"run {run.display_name} was cancelled: {cluster.link(run.run_id)}")
    failed = [step for step in steps_of(run) if step.state == "failed"]
    for step in failed:
        found = _error_in(read_log(cluster, run, step) or "")
        if found and found.get("kind") == "input":
            return InputError.from_dict(found)
        if found:
            return ClusterError(f"{step.name} failed: {clean(str(found.get('found', '')))}")
    said = clean(str(run.error.message)) if run.error and run.error.message else ""
    names = ", ".join(step.name for step in failed) or f"run {run.display_name}"
    flags = cluster.connection.flags
    more = f"\nlog: kfp-finetune logs {run.run_id} {failed[0].name}{flags}" if failed else ""
    return ClusterError(f"{names} failed{': ' + said if said else ''}{more}")


def read_log(cluster: Cluster, run: Any, step: StepState) -> str | None:
    """What a step printed; None where the API does not have it (any more)."""
    for pod in step.pods:
        text = cluster.read_log(run.run_id, pod)
        if text is not None:
            return text
    return None


def _error_in(log: str) -> dict[str, Any] | None:
    for line in reversed(log.splitlines()):
        parsed = parse_line(line)
        if parsed and parsed[0] == ERROR_LINE:
            return parsed[1]
    return None
