"""Show a cluster run until it has ended, and continue it if a step was killed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from kfp_finetune.cli.cluster.answers import ClusterError
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.logs import namespace_of, read
from kfp_finetune.cli.cluster.observed import NO_WORKFLOW, ObservedRun, observe, unchanged
from kfp_finetune.cli.cluster.progress import Pace
from kfp_finetune.cli.cluster.reasons import OUT_OF_MEMORY, Reason, of_failure, of_waiting
from kfp_finetune.cli.cluster.steps import LONG_WAIT, Step
from kfp_finetune.components.errors import InputError
from kfp_finetune.progress.lines import FROM_CACHE, Screen, duration

SECONDS_BETWEEN_LOOKS = 5.0
# The workflow has about a megabyte, and Argo updates the progress once per minute.
_SECONDS_BETWEEN_WORKFLOWS = 20.0
# Seconds that a cluster may be unreachable before waiting ends.
_PATIENCE = 15 * 60.0
# Seconds that the server may take to show that a run is continued.
_RETRY_SHOWS = 120.0
_ENDED = ("done", "cached", "failed", "terminated")


def wait(cluster: Cluster, run_id: str, screen: Screen) -> ObservedRun:
    """Show a run until it has ended; a failed step is retried as often as its `retries` allow.

    Args:
        cluster: The run's cluster.
        run_id: The run's id.
        screen: The screen that shows it.

    Returns:
        The run, which has succeeded.

    Raises:
        InputError: If a step reports wrong input.
        ClusterError: If the run failed or was terminated, or the cluster is unreachable for long.
    """
    watcher = _Watcher(cluster, run_id, screen)
    while True:
        run = watcher.look()
        if run.status == "succeeded":
            return run
        if run.is_over and not watcher.continued(run):
            raise failure_of(cluster, run, watcher.repeated)
        time.sleep(SECONDS_BETWEEN_LOOKS)


class _Watcher:
    """Shows a run, and keeps track of what has been shown."""

    def __init__(self, cluster: Cluster, run_id: str, screen: Screen) -> None:
        self.repeated = ""  # the step that ran out of memory twice
        self._cluster = cluster
        self._run_id = run_id
        self._screen = screen
        self._shown: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        self._advised: set[tuple[str, str]] = set()
        self._paces: dict[str, Pace] = {}
        self._run: ObservedRun | None = None
        self._observed_at = 0.0
        self._retries: Counter[str] = Counter()
        self._out_of_memory: Counter[str] = Counter()
        self._failures = 0  # failures of the run that were handled
        self._retried_at = 0.0

    def look(self) -> ObservedRun:
        """Request the run, and show changes."""
        run = self._observed()
        for step in run.shown:
            self._show(run, step)
        return run

    def _observed(self) -> ObservedRun:
        lost_at: float | None = None
        while True:
            try:
                run = self._cluster.get_run(self._run_id)
                now = time.monotonic()
                fresh = now - self._observed_at < _SECONDS_BETWEEN_WORKFLOWS
                if self._run is None or not fresh or not unchanged(self._run.run, run):
                    found = observe(self._cluster, run)
                    if found.workflow is None and self._run and self._run.workflow:
                        # Without it, cached steps look done, and refused input is unknown.
                        raise ClusterError(NO_WORKFLOW)
                    self._run = found
                    self._observed_at = now
                return self._run
            except ClusterError as error:
                now = time.monotonic()
                if lost_at is None:
                    self._screen.heading(f"{str(error).splitlines()[0]}; still trying")
                    lost_at = now
                if now - lost_at > _PATIENCE:
                    raise
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def _show(self, run: ObservedRun, step: Step) -> None:
        before = self._shown.get(step.key, "not_started")
        if step.waits:
            self._show_why(run, step)
        if step.state == "running":
            self._show_progress(run, step)
        if step.state == before:
            return
        self._shown[step.key] = step.state
        active = ("starting", "waiting", "running")
        if step.state in active and before not in active:
            self._screen.started(step.title)
            self._show_progress(run, step)
        elif step.state == "running" and before == "waiting":
            self._screen.heading(f"{step.title}: running")
        if step.state in _ENDED:
            took = duration(step.seconds) if step.seconds and step.state != "cached" else ""
            remark = FROM_CACHE if step.state == "cached" else took
            self._screen.ended(step.title, step.state, remark)

    def _show_why(self, run: ObservedRun, step: Step) -> None:
        reason = of_waiting(step, namespace_of(run))
        if self._shown.get(step.key) not in ("starting", "waiting", "running"):
            self._screen.started(step.title)
            self._shown[step.key] = "waiting"
        if reason.text != self._reasons.get(step.key):
            self._reasons[step.key] = reason.text
            self._screen.heading(f"{step.title}: waiting: {reason.text}")
        advice = (step.key, reason.remedy)
        if reason.remedy and advice not in self._advised and step.waited >= LONG_WAIT:
            self._advised.add(advice)
            took = duration(step.waited)
            self._screen.heading(f"{step.title}: waiting for {took}; {reason.remedy}")

    def _show_progress(self, run: ObservedRun, step: Step) -> None:
        if step.progress is None:
            return
        attempt = step.attempts[-1]
        pace = self._paces.setdefault(attempt.pod, Pace(attempt.started))
        seen = run.workflow and run.workflow.seen
        pace.report(*step.progress, seen or datetime.now(UTC))
        if estimate := pace.now():
            self._screen.progress(
                step.title, estimate.done, estimate.total, "steps", estimate.remark
            )

    def continued(self, run: ObservedRun) -> bool:
        """Continue a failed run if its failed steps may be retried.

        Returns:
            True if it is continued, or was continued and the server does not show it yet.
        """
        failures = sum(entry.state == "FAILED" for entry in run.run.state_history or [])
        if failures <= self._failures and time.monotonic() - self._retried_at < _RETRY_SHOWS:
            return True
        failed = [step for step in run.shown if step.state == "failed"]
        if run.status != "failed" or not failed:
            return False
        reasons = reasons_of(self._cluster, run, failed)
        for step in failed:
            if OUT_OF_MEMORY in step.message:
                self._out_of_memory[step.key] += 1
                if self._out_of_memory[step.key] > 1:
                    self.repeated = step.key
        may = all(
            self._retries[step.key] < step.task.retries
            and reasons[step.key].input_error is None
            and not step.failed_in_driver
            for step in failed
        )
        if not may or self.repeated:
            return False
        for step in failed:
            self._retries[step.key] += 1
            count = f"retry {self._retries[step.key]} of {step.task.retries}"
            self._screen.heading(f"{step.title}: {reasons[step.key].text}; {count}")
        self._cluster.retry(run.id)
        self._failures, self._retried_at, self._observed_at = failures, time.monotonic(), 0.0
        return True


def reasons_of(cluster: Cluster, run: ObservedRun, failed: Sequence[Step]) -> dict[str, Reason]:
    """The reasons why steps failed, by key, from their logs if available.

    Candidates usually fail for the same reason, so only the first log is searched for in stores.
    """
    return {
        step.key: of_failure(step, read(cluster, run, step, stores=step is failed[0]))
        for step in failed
    }


def failure_of(cluster: Cluster, run: ObservedRun, repeated: str = "") -> Exception:
    """The reason why a run has not succeeded, from its step's log if available.

    Args:
        cluster: The run's cluster.
        run: The run.
        repeated: The key of a step that ran out of memory again.
    """
    if run.status == "terminated":
        return ClusterError(f"run {run.name} was terminated: {cluster.link(run.id)}")
    failed = [step for step in run.shown if step.state == "failed"]
    flags = cluster.connection.flags
    if not failed:
        said = run.run.error.message if run.run.error and run.run.error.message else run.unknown
        return ClusterError(f"run {run.name} failed" + (f": {said}" if said else ""))
    # If several candidates failed for the same reason, report it once.
    step = next((s for s in failed if s.key == repeated), failed[0])
    reason = reasons_of(cluster, run, [step])[step.key]
    if reason.input_error is not None:
        return InputError.from_dict(reason.input_error)
    again = " again" if step.key == repeated else ""
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    lines = [f"{step.title} failed{again}{others}" + (f": {reason.text}" if reason.text else "")]
    if reason.remedy:
        lines.append(f"what to do: {reason.remedy}")
    candidate = f" --candidate {step.task.trial + 1}" if step.task.trial is not None else ""
    name = step.key.rpartition("/")[2]
    lines.append(f"log: kfp-finetune logs {run.id} {name}{candidate}{flags}")
    lines.append(next_step(cluster, run, [reason]))
    return ClusterError("\n".join(lines))


def next_step(cluster: Cluster, run: ObservedRun, reasons: Sequence[Reason]) -> str:
    """Return the command that continues a failed or terminated run."""
    changes = list(dict.fromkeys(reason.change for reason in reasons if reason.change))
    flags = cluster.connection.flags
    if changes:
        return f"to run it again: kfp-finetune rerun {run.id} {' '.join(changes)}{flags}"
    return f"to continue it: kfp-finetune resume {run.id}{flags}"
