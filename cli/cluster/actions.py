"""The work of the commands on a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfp_finetune.cli.cluster import submit as submitting
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.fetch import fetch as fetch_run
from kfp_finetune.cli.cluster.observed import find, is_over, status_of
from kfp_finetune.cli.cluster.platform import Platform
from kfp_finetune.cli.cluster.submit import Spec, Submission
from kfp_finetune.cli.cluster.verdicts import outcome_of, rerun_command
from kfp_finetune.cli.cluster.watch import wait
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.local.processes import Interrupted, interruptible
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.progress.display import make_screen
from kfp_finetune.progress.lines import Screen, duration
from kfp_finetune.progress.summary import shown, summary


def submit(
    pipeline: Pipeline,
    values: Mapping[str, Any],
    connection: Connection,
    submission: Submission,
    platform: Platform,
    *,
    waits: bool,
) -> None:
    """Submit a pipeline, and optionally wait until the run has ended.

    Raises:
        InputError: If something is wrong with the input.
        ClusterError: If the cluster or the run fails.
    """
    screen = make_screen()
    submitting.check(pipeline, values, submission)  # first: it needs no connection
    spec = submitting.compiled_spec(pipeline, platform)
    cluster = Cluster(connection)
    arguments = submitting.prepare(values, platform, submission, screen.heading)
    start(cluster, arguments, spec, submission, screen, waits=waits)


def start(
    cluster: Cluster,
    arguments: Mapping[str, Any],
    spec: Spec,
    submission: Submission,
    screen: Screen,
    *,
    waits: bool,
) -> None:
    """Start a run or a schedule, print its name, and optionally wait for the run."""
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
            screen.heading("the run continues on the cluster; to terminate it:")
            screen.heading(f"kfp-finetune terminate {identity}{flags}")
            raise
        finally:
            screen.close()
        outcome = outcome_of(cluster, run)
        rows = [*outcome.rows, ("time", duration(_seconds(run.run))), ("results", rows[-1][1])]
        screen.summary(f"run {name} {outcome.words}", rows)


def terminate(name: str, connection: Connection) -> None:
    """Terminate a run.

    Raises:
        InputError: If it has ended.
    """
    cluster = Cluster(connection)
    run = cluster.find_run(name)
    if is_over(run):
        raise InputError(
            f"run {run.display_name} has ended: {status_of(run)}",
            where=cluster.link(run.run_id),
            expected="a run that is still running",
            remedy="nothing to do",
        )
    cluster.terminate(run.run_id)
    print(f"run {run.display_name} is being terminated: {cluster.link(run.run_id)}")


def fetch(
    name: str,
    connection: Connection,
    output: Path | None,
    root: str | None,
    *,
    everything: bool,
) -> None:
    """Download a run, and print its results."""
    screen = make_screen()
    cluster = Cluster(connection)
    run = find(cluster, name)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", run.name).strip("-.") or run.id
    target = output or Path("runs", safe)
    folder = fetch_run(cluster, run, target, screen.heading, root=root, everything=everything)
    rows = summary(folder, "", rerun_command(cluster, run))
    screen.summary(f"run {run.name} is in {shown(folder.path)}", rows)


def cluster_runs(connection: Connection) -> Sequence[dict[str, Any]]:
    """The runs of a cluster, the newest first, as rows for a table.

    Returns:
        "id", "name", "status", "dataset", "model", "schedule" (learning rate and its scheduler),
        "created_at" (a datetime), "seconds" (None while it is running) and "started_by" (the name
        of the schedule that started it, or None) of each run.
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
                "schedule": " ".join(str(part) for part in (scheduler, rate) if part),
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
