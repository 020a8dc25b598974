"""What the commands on a cluster do, and what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfp_finetune.cli.catalog import Pipeline
from kfp_finetune.cli.cluster import submit as submitting
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.fetch import fetch as fetch_run
from kfp_finetune.cli.cluster.observed import find, observe
from kfp_finetune.cli.cluster.options import Connection, PlatformFlags, SubmissionFlags
from kfp_finetune.cli.cluster.outputs import Outputs
from kfp_finetune.cli.cluster.sources import Sources
from kfp_finetune.cli.cluster.submit import Spec, Submission
from kfp_finetune.cli.cluster.watch import (
    StepState,
    failure_of,
    is_over,
    read_log,
    status_of,
    steps_of,
    wait,
)
from kfp_finetune.cli.processes import Interrupted, interruptible
from kfp_finetune.cli.screen import Screen, duration, make_screen
from kfp_finetune.cli.summary import shown, summary
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.uris import without_secrets


def submit(
    pipeline: Pipeline,
    values: Mapping[str, Any],
    connection: Connection,
    flags: SubmissionFlags,
    platform_flags: PlatformFlags,
) -> None:
    """Submit a pipeline, and wait for it if asked to.

    Raises:
        InputError: If something is wrong with the input.
        ClusterError: If the cluster or the run fails.
    """
    submission = flags.as_submission()
    screen = make_screen()
    platform = platform_flags.load(pipeline)
    spec = submitting.compiled_spec(pipeline, platform)
    cluster = Cluster(connection)
    arguments = submitting.prepare(pipeline, values, platform, submission, screen.heading)
    start(cluster, arguments, spec, submission, screen, waits=flags.wait)


def start(
    cluster: Cluster,
    arguments: Mapping[str, Any],
    spec: Spec,
    submission: Submission,
    screen: Screen,
    *,
    waits: bool,
) -> None:
    """Start a run or a schedule, say how it is called, and wait for the run if asked to."""
    name, identity = submitting.submit(cluster, arguments, spec, submission, screen.heading)
    flags = cluster.connection.flags
    if submission.cron is not None:
        start = submission.cron.next(datetime.now(UTC))
        rows = [
            ("next start", f"{start:%Y-%m-%d %H:%M} UTC" if start else "never"),
            ("id", identity),
            ("page", f"{cluster.host}/#/recurringrun/details/{identity}"),
            ("to stop", f"kfp-finetune schedules pause {identity}{flags}"),
        ]
        screen.summary(f"schedule {name} starts a run at {submission.cron.text}", rows)
        return
    rows = [
        ("id", identity),
        ("page", cluster.link(identity)),
        ("status", f"kfp-finetune status {identity}{flags}"),
        ("results", f"kfp-finetune fetch {identity}{flags}"),
    ]
    screen.summary(f"run {name} submitted", rows)
    if waits:
        try:
            with interruptible():
                run = wait(cluster, identity, screen)
        except Interrupted:
            screen.heading(f"the run goes on; kfp-finetune terminate {identity}{flags} ends it")
            raise
        finally:
            screen.close()
        rows = [("time", duration(_seconds(run))), ("results", rows[-1][1])]
        screen.summary(f"run {name} succeeded", rows)


def status(name: str, connection: Connection) -> None:
    """Print how far a run is."""
    cluster = Cluster(connection)
    run = cluster.find_run(name)
    print(f"run {run.display_name} ({run.run_id}): {status_of(run)}")
    print(cluster.link(run.run_id))
    for step in steps_of(run):
        took = duration(step.seconds) if step.seconds and step.state != "cached" else ""
        print(f"  {step.name:<16}{step.state:<12}{took}".rstrip())
    if is_over(run) and run.state != "SUCCEEDED":
        print(failure_of(cluster, run))


def logs(name: str, step: str, connection: Connection, root: str | None) -> None:
    """Print what a step has printed: from its pod, else from the store.

    Raises:
        InputError: If there is no such step, or no log of it.
    """
    cluster = Cluster(connection)
    run = cluster.find_run(name)
    state = _step(run, step)
    text = read_log(cluster, run, state)
    if text is None:
        text = _stored_log(cluster, run, root, state.name)
    if text is None:
        where = f" -n {cluster.namespace}" if cluster.namespace else " -n kubeflow"
        raise InputError(
            f"there is no log of {state.name}, which is {state.state}",
            where=cluster.link(run.run_id),
            expected="a step whose pod is still there, or whose log KFP has stored",
            remedy=f"kubectl logs{where} -l pipeline/runid={run.run_id} -c main --tail=-1",
        )
    print(text, end="" if text.endswith("\n") else "\n")


def _stored_log(cluster: Cluster, run: Any, root: str | None, step: str) -> str | None:
    """What KFP has stored of a step's log; None if nothing, or the store is out of reach."""
    sources = Sources(cluster)
    found = [
        sources.read(uri)
        for outputs in Outputs(cluster, observe(cluster, run), sources, root).all()
        if outputs.step.key == step
        for uri in outputs.logs
    ]
    texts = [text.decode("utf-8", errors="replace") for text in found if text is not None]
    return "".join(texts) or None


def _step(run: Any, name: str) -> StepState:
    states = {state.name: state for state in steps_of(run)}
    if name.replace("-", "_") not in states:
        raise InputError(
            f"there is no step '{name}'",
            where=f"run {run.display_name}",
            expected="one of " + ", ".join(states),
            remedy="give one of these",
        )
    return states[name.replace("-", "_")]


def terminate(name: str, connection: Connection) -> None:
    """Cancel a run.

    Raises:
        InputError: If it has ended.
    """
    cluster = Cluster(connection)
    run = cluster.find_run(name)
    if is_over(run):
        raise InputError(
            f"run {run.display_name} has ended: {status_of(run)}",
            where=cluster.link(run.run_id),
            expected="a run that is going",
            remedy="nothing is to be done",
        )
    cluster.terminate(run.run_id)
    print(f"run {run.display_name} is being cancelled: {cluster.link(run.run_id)}")


def fetch(
    name: str,
    connection: Connection,
    output: Path | None,
    root: str | None,
    *,
    everything: bool,
) -> None:
    """Download a run, and say what it says."""
    screen = make_screen()
    cluster = Cluster(connection)
    run = find(cluster, name)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", run.name).strip("-.") or run.id
    target = output or Path("runs", safe)
    folder = fetch_run(cluster, run, target, screen.heading, root=root, everything=everything)
    screen.summary(f"run {run.name} is in {shown(folder.path)}", summary(folder, ""))


def cluster_runs(connection: Connection) -> Sequence[dict[str, Any]]:
    """The runs of a cluster, the newest first, as rows for a table.

    Returns:
        For each: "id", "name", "status", "dataset", "model", "schedule" (learning rate and its
        scheduler), "created_at" (a datetime), "seconds" (None while it is going) and
        "started_by" (the name of the schedule that started it; None if none did).
    """
    cluster = Cluster(connection)
    rows = []
    for run in cluster.runs():
        given = (run.runtime_config.parameters if run.runtime_config else None) or {}
        rate, scheduler = given.get("learning_rate"), given.get("lr_scheduler_type")
        rows.append(
            {
                "id": run.run_id,
                "name": run.display_name,
                "status": status_of(run),
                "dataset": without_secrets(str(given.get("dataset") or "")),
                "model": without_secrets(str(given.get("model") or "")),
                "schedule": " ".join(str(part) for part in (scheduler, rate) if part is not None),
                "created_at": run.created_at,
                "seconds": _seconds(run) if is_over(run) else None,
                "started_by": cluster.schedules.name_of(run),
            }
        )
    return rows


def _seconds(run: Any) -> float:
    if run.finished_at is None or run.finished_at.year == 1970:
        return 0.0
    return float((run.finished_at - run.created_at).total_seconds())
