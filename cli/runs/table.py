"""Compare the runs of a folder or of a cluster in a table."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kfp_finetune.cli.runs.groups import (
    STARTED,
    Group,
    by_metric,
    grouped,
    metrics_of,
    task_of_run,
)
from kfp_finetune.cli.screen.columns import NOTHING, Column, cut, room_of_line, table, wrapped
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.local.processes import Interrupted
from kfp_finetune.progress.lines import clean
from kfp_finetune.progress.summary import shown
from kfp_finetune.runs import scores
from kfp_finetune.runs.folder import RECORD, RunFolder


def list_runs(runs_dir: Path, *, sort: str | None, as_json: bool, wide: bool = False) -> None:
    """Print a table of the runs, or one JSON list.

    Args:
        runs_dir: The folder of runs.
        sort: The metric to sort by, or "started" for the newest run first; None: the metric that
            the runs of a task and dataset optimised, or the newest first as JSON.
        as_json: Whether to print JSON.
        wide: Whether to show every column.

    Raises:
        InputError: If there is no such folder, or no run has the metric.
    """
    folders = open_runs(runs_dir)
    if sort is not None:
        _check_sort(folders, sort)
    if as_json:
        ordered = by_metric(folders, (sort or "").removeprefix(STARTED))
        _print(json.dumps([_described(folder) for folder in ordered], indent=2))
    elif folders:
        _print("\n".join(_tables(grouped(folders, sort), wide=wide)))
    else:
        _print(f"no runs in {shown(runs_dir.absolute())}")


def _tables(groups: Sequence[Group], *, wide: bool) -> list[str]:
    """One table of each group, with a heading if there are several."""
    lines: list[str] = []
    for group in groups:
        if len(groups) > 1:
            heading = f"{cut(clean(_short(group.dataset)), 40)}: {group.task}"
            lines += [*[""] * bool(lines), cut(heading, room_of_line())]
        columns = _columns(group.runs, group.sort)
        if len(groups) > 1 and not wide:
            columns = [column for column in columns if column.head not in ("task", "dataset")]
        lines += table(columns, wide=wide)
        if group.sort and len(group.runs) > 1:
            note = f"best {group.sort} first; --sort {STARTED} lists the newest first"
            lines += ["", *wrapped(note)]
    return lines


def list_cluster_runs(rows: Sequence[dict[str, Any]], *, as_json: bool, wide: bool = False) -> None:
    """Print a table of a cluster's runs, or one JSON list.

    Args:
        rows: The runs, as `cluster.actions.cluster_runs` returns them.
        as_json: Whether to print JSON.
        wide: Whether to show every column.
    """
    if as_json:
        _print(json.dumps(rows, indent=2, default=lambda time: time.isoformat()))
        return
    if not rows:
        _print("no runs")
        return
    names = [row["name"] for row in rows]
    shown_names = names if wide else [cut(name, 40) for name in names]  # the id needs the rest
    is_clear = shown_names == names and len(set(names)) == len(names)
    schedule = [f"schedule {row['started_by']}" if row["started_by"] else "" for row in rows]
    started = [row["created_at"].astimezone().strftime("%Y-%m-%d %H:%M") for row in rows]
    columns = [
        ("run", shown_names, 0),
        ("status", [row["status"] for row in rows], 1),
        ("dataset", [_short(row["dataset"]) for row in rows], 4),
        ("model", [_short(row["model"]) for row in rows], 5),
        ("schedule", [row["schedule"] for row in rows], 6),
        ("started", started, 3),
        ("started by", schedule, 2),
        ("id", [row["id"] for row in rows], 7 if is_clear else 1),
    ]
    _print("\n".join(table([_column(*column) for column in columns], wide=wide)))


def open_runs(runs_dir: Path) -> list[RunFolder]:
    """Return all runs, the newest first; damaged records are reported and skipped."""
    if not runs_dir.is_dir():
        raise InputError(
            "there are no runs",
            where=str(runs_dir),
            expected="a folder of runs",
            remedy="start one with kfp-finetune run, or use another --runs-dir",
        )
    folders = []
    for record in runs_dir.glob(f"*/{RECORD}"):
        try:
            folders.append(RunFolder.open(record.parent))
        except (InputError, OSError) as error:
            reason = str(error).split("\n")[0]
            print(clean(f"skipped {record.parent}: {reason}"), file=sys.stderr)
    return sorted(folders, key=lambda f: (f.record.started_at, f.record.name), reverse=True)


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise Interrupted(signal.SIGPIPE) from None


def _check_sort(folders: Sequence[RunFolder], sort: str) -> None:
    known = sorted({name for folder in folders for name in metrics_of(folder)})
    if sort not in (STARTED, *known):
        raise InputError(
            f"no run has the metric '{sort}'",
            where="--sort",
            expected="one of " + ", ".join([*known, STARTED]),
            remedy=f"--sort {known[0] if known else STARTED}",
        )


def _described(folder: RunFolder) -> dict[str, Any]:
    record, parameters = folder.record, folder.record.parameters
    return {
        "name": record.name,
        "folder": str(folder.path.absolute()),
        "status": folder.status(),
        "purpose": record.purpose,
        "task": task_of_run(folder),
        "dataset": without_secrets(str(parameters.get("dataset"))),
        "model": without_secrets(str(parameters.get("model"))),
        "lr_scheduler_type": parameters.get("lr_scheduler_type"),
        "learning_rate": parameters.get("learning_rate") or record.chosen.get("learning_rate"),
        "candidates": record.candidates,
        "num_train_steps": record.outputs.get("num_train_steps"),
        "stopped_at": record.stopped_at and record.stopped_at.model_dump(),
        "verdict": record.verdict and record.verdict.model_dump(),
        "metrics": record.metrics,
        "validation_metrics": record.validation_metrics,
        "started_at": record.started_at,
    }


def _columns(folders: Sequence[RunFolder], sort: str) -> list[Column]:
    reported = {name for f in folders for name in scores.headline(f.record.metrics)}
    names = [sort] if sort else []
    names += [n for n in scores.HEADLINE if n in reported and n != sort]
    rows = [_described(folder) for folder in folders]
    values = [metrics_of(folder) for folder in folders]
    started = [
        datetime.fromisoformat(row["started_at"]).astimezone().strftime("%Y-%m-%d %H:%M")
        for row in rows
    ]
    columns = [
        _column("run", [row["name"] for row in rows], 0),
        _column("task", [row["task"] for row in rows], 2),
        _column("dataset", [_short(row["dataset"]) for row in rows], 4),
        _column("model", [_short(row["model"]) for row in rows], 5),
        _column("schedule", [_schedule(row) for row in rows], 3),
        _column("steps", [_steps(row) for row in rows], 6),
    ]
    for place, name in enumerate(names):
        cells = [f"{found[name]:.4f}" if name in found else NOTHING for found in values]
        # The first metric decides; the others are omitted before anything else.
        columns.append(Column(name, cells, order=10 + place if place else 0))
    columns.append(_column("status", [_status(folder) for folder in folders], 1))
    columns.append(_column("started", started, 7))
    return columns


def _column(head: str, cells: Sequence[Any], order: int) -> Column:
    return Column(head, [clean(str(cell)) or NOTHING for cell in cells], order)


def _schedule(row: dict[str, Any]) -> str:
    if row["candidates"]:
        first, *others = row["candidates"]
        is_best = first.get("diagnosis") != "nothing learned" and not any(
            c.get("tied") for c in others
        )
        place = "best of" if is_best else "first of"
        return f"{first['name']}, {place} {len(row['candidates'])}"
    if row["purpose"] == "range_test":
        return "rising"
    rate = row["learning_rate"]
    return " ".join(filter(None, [row["lr_scheduler_type"], None if rate is None else f"{rate:g}"]))


def _status(folder: RunFolder) -> str:
    """The outcome; a range test, which has no score, is recognisable however narrow the table."""
    outcome = folder.outcome
    if folder.record.purpose != "range_test":
        return outcome
    return "range test" if outcome == "succeeded" else f"range test {outcome}"


def _steps(row: dict[str, Any]) -> str:
    steps = row["num_train_steps"]
    if steps is not None and row["stopped_at"]:
        return f"{row['stopped_at']['step']} of {steps}"
    return NOTHING if steps is None else str(steps)


def _short(place: str) -> str:
    """Return the last part of a path or a URI, or a Hub id unchanged."""
    is_place = place.startswith(("/", ".", "~")) or "://" in place
    return place.rstrip("/").rpartition("/")[2] if is_place else place
