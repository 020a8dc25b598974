"""Compares the runs of a folder, and removes those that came to nothing."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import textwrap
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.uris import without_secrets
from kfp_finetune.local.processes import Interrupted
from kfp_finetune.progress.lines import clean
from kfp_finetune.progress.summary import shown
from kfp_finetune.runs import scores
from kfp_finetune.runs.folder import RECORD, RunFolder

_OF_VALIDATION = "validation_"
_NOTHING = "-"
_LONGEST_NAME = 60
_CAME_TO_NOTHING = ("failed", "interrupted")


def list_runs(runs_dir: Path, *, sort: str | None, as_json: bool) -> None:
    """Print a table of the runs, or one JSON list.

    Args:
        runs_dir: The folder of runs.
        sort: A metric; None: the newest first.
        as_json: Whether for machines.

    Raises:
        InputError: If there is no such folder, or no run has the metric.
    """
    folders = _sorted(_open(runs_dir), sort)
    if as_json:
        text = json.dumps([_described(folder) for folder in folders], indent=2)
    elif folders:
        text = "\n".join(_table(folders, sort))
    else:
        text = f"no runs in {shown(runs_dir.absolute())}"
    _print(text)


def list_cluster_runs(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print a table of a cluster's runs, or one JSON list.

    Args:
        rows: As `cluster.actions.cluster_runs` returns them.
        as_json: Whether for machines.
    """
    if as_json:
        text = json.dumps(rows, indent=2, default=lambda time: time.isoformat())
    else:
        heads = ["run", "dataset", "model", "schedule", "status", "started", "started by", "id"]
        cells = [
            [
                _cut(row["name"]),
                _short(row["dataset"]),
                _short(row["model"]),
                row["schedule"],
                row["status"],
                row["created_at"].astimezone().strftime("%Y-%m-%d %H:%M"),
                f"schedule {row['started_by']}" if row["started_by"] else "",
                row["id"],
            ]
            for row in rows
        ]
        shown_cells = [[clean(str(cell)) or _NOTHING for cell in row] for row in cells]
        text = "\n".join(_aligned([heads, *shown_cells])) if rows else "no runs"
    _print(text)


def prune(runs_dir: Path, *, yes: bool) -> None:
    """Remove the runs that failed or were interrupted, after asking.

    Args:
        runs_dir: The folder of runs.
        yes: Do not ask.

    Raises:
        InputError: If there is no such folder, nobody can be asked, or one cannot be removed.
    """
    ended = [f for f in _open(runs_dir) if f.status() in _CAME_TO_NOTHING]
    if not ended:
        print("nothing to remove: no run has failed or was interrupted")
        return
    for folder in ended:
        resumable = ", can be resumed" if folder.can_be_resumed() else ""
        print(f"{folder.record.name}: {folder.status()}{resumable}", flush=True)
    runs = "this run" if len(ended) == 1 else f"these {len(ended)} runs"
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                f"nobody can be asked whether to remove {runs}",
                where="standard input",
                expected="a terminal, or --yes",
                remedy="give --yes",
            )
        if input(f"Remove {runs}? [y/N] ").strip().lower() not in ("y", "yes"):
            return
    for folder in ended:
        try:
            with folder.running():  # nobody resumes it now
                if RunFolder.open(folder.path).record.status != "succeeded":
                    shutil.rmtree(folder.path)
        except OSError as error:
            raise InputError(
                f"run '{folder.record.name}' cannot be removed: {error.strerror or error}",
                where=str(folder.path),
                expected="a folder that can be written",
                remedy="remove it by hand",
            ) from None
    print(f"removed {len(ended)} run{'s' * (len(ended) > 1)}")


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise Interrupted(signal.SIGPIPE) from None


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _open(runs_dir: Path) -> list[RunFolder]:
    """All runs, the newest first; one whose record cannot be read is told and passed over."""
    if not runs_dir.is_dir():
        raise InputError(
            "there are no runs",
            where=str(runs_dir),
            expected="a folder of runs",
            remedy="kfp-finetune run makes one; or give another --runs-dir",
        )
    folders = []
    for record in runs_dir.glob(f"*/{RECORD}"):
        try:
            folders.append(RunFolder.open(record.parent))
        except (InputError, OSError) as error:
            reason = str(error).split("\n")[0]
            print(clean(f"passed over {record.parent}: {reason}"), file=sys.stderr)
    return sorted(folders, key=lambda f: (f.record.started_at, f.record.name), reverse=True)


def _metrics(folder: RunFolder) -> dict[str, float]:
    """The test split's metrics, and the validation split's as validation_NAME."""
    record = folder.record
    validation = {f"{_OF_VALIDATION}{n}": v for n, v in record.validation_metrics.items()}
    return record.metrics | validation


def _sorted(folders: list[RunFolder], metric: str | None) -> list[RunFolder]:
    """The best first; runs without the metric last."""
    if metric is None:
        return folders
    known = sorted({name for folder in folders for name in _metrics(folder)})
    if metric not in known:
        raise InputError(
            f"no run has the metric '{metric}'",
            where="--sort",
            expected="one of " + ", ".join(known) if known else "runs that have been evaluated",
            remedy=f"--sort {known[0]}" if known else "omit --sort",
        )
    sign = 1 if metric.removeprefix(_OF_VALIDATION) in LESS_IS_BETTER else -1
    return sorted(folders, key=lambda f: sign * _metrics(f).get(metric, sign * float("inf")))


def _described(folder: RunFolder) -> dict[str, Any]:
    record, parameters = folder.record, folder.record.parameters
    return {
        "name": record.name,
        "folder": str(folder.path.absolute()),
        "status": folder.status(),
        "dataset": without_secrets(str(parameters.get("dataset"))),
        "model": without_secrets(str(parameters.get("model"))),
        "lr_scheduler_type": parameters.get("lr_scheduler_type"),
        "learning_rate": parameters.get("learning_rate"),
        "candidates": record.candidates,
        "num_train_steps": record.outputs.get("num_train_steps"),
        "stopped_at": record.stopped_at and record.stopped_at.model_dump(),
        "metrics": record.metrics,
        "validation_metrics": record.validation_metrics,
        "started_at": record.started_at,
    }


def _table(folders: Sequence[RunFolder], sort: str | None) -> list[str]:
    told = {name for f in folders for name in scores.headline(f.record.metrics)}
    names = ([sort] if sort else []) + [n for n in scores.HEADLINE if n in told and n != sort]
    heads = ["run", "dataset", "model", "schedule", "steps", *names, "status", "started"]
    rows = [_cells(folder, names) for folder in folders]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sum(widths) * 2
    if sum(widths) + 2 * len(widths) <= room:
        return _aligned([heads, *rows])
    lines = []
    for row in rows:
        run, dataset, model, schedule, steps, *values, status, started = row
        scored = [f"{n} {v}" for n, v in zip(names, values, strict=True) if v != _NOTHING]
        rest = [dataset, model, schedule, f"{steps} steps", *scored]
        lines.append(f"{run}  {status}  {started}")
        lines += textwrap.wrap(
            ", ".join(rest), max(20, room - 2), initial_indent="  ", subsequent_indent="  "
        )
    return lines


def _cells(folder: RunFolder, names: Sequence[str]) -> list[str]:
    told = _described(folder)
    rate = told["learning_rate"]
    steps = told["num_train_steps"]
    if steps is not None and told["stopped_at"]:
        steps = f"{told['stopped_at']['step']} of {steps}"
    schedule = " ".join(
        filter(None, [told["lr_scheduler_type"], None if rate is None else f"{rate:g}"])
    )
    if told["candidates"]:
        schedule = f"{told['candidates'][0]['name']}, best of {len(told['candidates'])}"
    found = _metrics(folder)
    cells = [
        told["name"],
        _short(told["dataset"]),
        _short(told["model"]),
        schedule,
        _NOTHING if steps is None else str(steps),
        *(f"{found[name]:.4f}" if name in found else _NOTHING for name in names),
        told["status"],
        datetime.fromisoformat(told["started_at"]).astimezone().strftime("%Y-%m-%d %H:%M"),
    ]
    return [clean(str(cell)) or _NOTHING for cell in cells]


def _cut(name: str) -> str:
    """A name that leaves room for the other columns; the id names a run whose name is cut."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _short(place: str) -> str:
    """The last part of a path or an address; a Hub id as it is."""
    is_place = place.startswith(("/", ".", "~")) or "://" in place
    return place.rstrip("/").rpartition("/")[2] if is_place else place
