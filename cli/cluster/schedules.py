"""`kfp-finetune schedules`: list, pause, resume and delete schedules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kfp_finetune.cli.cluster.connection import Connection

_LAST_RUNS = 3


def list_schedules(connection: Connection, *, as_json: bool) -> None:
    """Print the schedules, newest first, each with its next start and last runs."""
    from kfp_finetune.cli.cluster.client import Cluster
    from kfp_finetune.cli.cluster.recurring_runs import is_active, last_runs, next_start, when

    cluster = Cluster(connection)
    found = list(cluster.schedules.all())
    last = last_runs(cluster.runs(), found, _LAST_RUNS)
    rows = [
        {
            "id": each.recurring_run_id,
            "name": each.display_name,
            "cron": when(each),
            "status": "active" if is_active(each) else "paused",
            "next_start": next_start(each, datetime.now(UTC)),
            "last_runs": [_described(run) for run in last[each.recurring_run_id]],
        }
        for each in found
    ]
    if as_json:
        print(json.dumps(rows, indent=2, default=lambda moment: moment.isoformat()))
    else:
        print("\n".join(_lines(rows)) if rows else "no schedules")


def _described(run: Any) -> dict[str, Any]:
    from kfp_finetune.cli.cluster.observed import status_of

    return {"id": run.run_id, "name": run.display_name, "status": status_of(run)}


def _lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each schedule, followed by one for each of its last runs."""
    from kfp_finetune.progress.lines import clean

    lines = []
    for row in rows:
        start = row["next_start"]
        coming = f"next start {start:%Y-%m-%d %H:%M} UTC" if start else "next start unknown"
        state = coming if row["status"] == "active" else "paused"
        lines.append(f"{row['name']}  {row['cron']}  {state}  {row['id']}")
        lines += [f"  {run['name']}  {run['status']}  {run['id']}" for run in row["last_runs"]]
        lines += [] if row["last_runs"] else ["  no runs yet"]
    return [line[: len(line) - len(line.lstrip())] + clean(line.lstrip()) for line in lines]


def change(action: str, name: str, connection: Connection) -> None:
    """Pause, resume or delete a schedule, and print the consequences.

    Raises:
        InputError: If there is no such schedule.
    """
    from kfp_finetune.cli.cluster.client import Cluster
    from kfp_finetune.cli.cluster.recurring_runs import next_start

    cluster = Cluster(connection)
    found = cluster.schedules.find(name)
    flags = connection.flags
    if action == "delete":
        cluster.schedules.delete(found)
        runs = f"kfp-finetune runs{flags}"
        print(f"schedule {found.display_name} is deleted")
        print(f"its runs are kept, under the names that Kubeflow gave them; {runs} lists them")
    elif action == "pause":
        cluster.schedules.pause(found)
        resume = f"kfp-finetune schedules resume {found.recurring_run_id}{flags}"
        print(f"schedule {found.display_name} is paused; {resume} resumes it")
    else:
        cluster.schedules.resume(found)
        start = next_start(cluster.schedules.find(found.recurring_run_id), datetime.now(UTC))
        coming = f"; next start {start:%Y-%m-%d %H:%M} UTC" if start else ""
        print(f"schedule {found.display_name} is active{coming}")
