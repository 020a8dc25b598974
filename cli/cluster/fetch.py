"""Download a cluster run to a run folder like those of local runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.observed import ObservedRun
from kfp_finetune.cli.cluster.outputs import Outputs, StepOutputs, no_outputs
from kfp_finetune.cli.cluster.sources import Item, Sources
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.pipelines import catalog
from kfp_finetune.runs.folder import RECORD, RunError, RunFolder, RunRecord, StepRecord
from kfp_finetune.runs.results import collect

# Size and tag of each downloaded file by name, so that it is not downloaded again.
_FETCHED = ".fetched.json"
# Inputs of the next step, as large as the data and useless without it.
_LEFT_THERE = ("tokenized_dataset",)
_STATUS = {"terminated": "interrupted"}
_OF_STEP = {
    "done": "succeeded",
    "cached": "succeeded",
    "failed": "failed",
    "terminated": "interrupted",
}


def fetch(
    cluster: Cluster,
    run: ObservedRun,
    target: Path,
    say: Callable[[str], None],
    *,
    root: str | None = None,
    everything: bool = False,
) -> RunFolder:
    """Download metrics, pages, TensorBoard's logs and the model; resume a partial download.

    Args:
        cluster: The run's cluster.
        run: The run.
        target: The run folder; created if it does not exist.
        say: Called with a line for each download or failure.
        root: The pipeline root, if it is neither in the run nor the default.
        everything: Whether to download the tokenized data too.

    Returns:
        The folder.

    Raises:
        InputError: If the run has no artifacts, the folder belongs to another run, or a file cannot
            be downloaded.
    """
    sources = Sources(cluster)
    outputs = Outputs(cluster, run, sources, root)
    found = outputs.all()
    if not any(step.uris or step.logs for step in found):
        raise no_outputs(run, outputs.place)
    folder = _open(target, run)
    downloads = _Downloads(folder, sources, say, () if everything else _LEFT_THERE)
    for step in found:
        names = downloads.of(step)
        _note(folder.record, step, names, _origin(cluster, step.origin))
        if step.step.task.trial is None:
            collect(folder, names)
    folder.record.missing = downloads.missing
    folder.save()
    return folder


def _open(target: Path, run: ObservedRun) -> RunFolder:
    """Open the run folder; a partial download of the same run is continued."""
    if (target / RECORD).is_file():
        record = RunFolder.open(target).record
        if record.environment.get("cluster_run") != run.id:
            raise InputError(
                "the folder belongs to another run",
                where=str(target),
                expected="a new folder, or this run's",
                remedy="use another folder: -o FOLDER",
            )
    failed = next((step for step in run.steps if step.state == "failed"), None)
    record = RunRecord(
        name=target.name,
        status=_STATUS.get(run.status, run.status),  # type: ignore[arg-type]
        pipeline=catalog.called_by(run.pipeline),
        parameters=run.parameters,
        started_at=run.run.created_at.isoformat(timespec="seconds"),
        environment={"cluster_run": run.id},
        error=RunError(step=failed.key, message=failed.message) if failed else None,
    )
    folder = RunFolder(target.absolute(), record)
    try:
        folder.steps.mkdir(parents=True, exist_ok=True)
        folder.save()
    except OSError as error:
        raise InputError(
            f"the folder cannot be written: {error.strerror or error}",
            where=str(target),
            expected="a folder that can be created",
            remedy="use another folder: -o FOLDER",
        ) from None
    return folder


def _note(record: RunRecord, outputs: StepOutputs, names: list[str], origin: str | None) -> None:
    """Record a step's outcome and the new paths of its artifacts."""
    step = outputs.step
    if step.state == "not_started":
        return
    record.steps[step.key] = StepRecord(
        status=_OF_STEP.get(step.state, "running"),  # type: ignore[arg-type]
        seconds=None if step.state == "cached" else step.seconds,
        cached=step.state == "cached" or origin is not None,
        cached_from=origin,
    )
    for name in names:
        in_trial = step.task.trial is not None
        key = f"{step.key}.{name}" if in_trial or name in record.artifacts else name
        record.artifacts[key] = f"steps/{step.key}/{name}"


def _origin(cluster: Cluster, run_id: str | None) -> str | None:
    """The name of the run that computed a step; its id if the run has been deleted."""
    if run_id is None:
        return None
    try:
        return str(cluster.get_run(run_id).display_name)
    except InputError:
        return run_id


class _Downloads:
    """The downloads of one run.

    Args:
        folder: The run's folder.
        sources: The stores to read from.
        say: Called with a line for each download.
        left: Names of artifacts to omit.

    Attributes:
        missing: The artifacts that could not be downloaded, and why.
    """

    def __init__(
        self, folder: RunFolder, sources: Sources, say: Callable[[str], None], left: tuple[str, ...]
    ) -> None:
        self.missing: list[str] = []
        self._folder = folder
        self._sources = sources
        self._say = say
        self._left = left
        self._state = folder.path / _FETCHED
        self._done: dict[str, Any] = (
            json.loads(self._state.read_text(encoding="utf-8")) if self._state.is_file() else {}
        )

    def of(self, step: StepOutputs) -> list[str]:
        """Download the outputs of a step.

        Returns:
            The names of the artifacts that are now in the folder.
        """
        uris = {name: uri for name, uri in step.uris.items() if name not in self._left}
        items = {name: self._sources.items(uri) for name, uri in uris.items()}
        logs = {uri.rpartition("/")[2]: self._sources.items(uri) for uri in step.logs}
        gone = self._get(step, items | logs)
        if step.missing:
            self._miss(step.step.key, step.missing)
        for name in items:
            if not items[name] or name in gone:
                why = gone.get(name) or f"it no longer exists: {uris[name]}"
                self._miss(f"{step.step.key}: {name}", why)
        return [name for name in items if items[name] and name not in gone]

    def _miss(self, what: str, why: str) -> None:
        self.missing.append(f"{what}: {why}")
        self._say(f"not fetched: {self.missing[-1]}")

    def _get(self, step: StepOutputs, items: Mapping[str, list[Item]]) -> dict[str, str]:
        """Download missing files; return the names of unavailable artifacts, and why."""
        key = step.step.key
        gone = {}
        wanted = {}
        for name, found in items.items():
            for item in found:
                path = f"{key}/{name}/{item.name}".rstrip("/")
                # The names come from a store or a server and must stay below the folder.
                if path.startswith("/") or ".." in path.split("/"):
                    gone[name] = f"its path points outside the run's folder: {path}"
                else:
                    wanted[path] = (name, item)
        new = {path: pair for path, pair in wanted.items() if not self._has(path, pair[1])}
        if new:
            sizes = [item.size for _, item in new.values()]
            size = "" if None in sizes else f", {sum(s or 0 for s in sizes) / 1e6:,.1f} MB"
            self._say(f"{key}: {len(new):,} of {len(wanted):,} files{size}")
        for path, (name, item) in new.items():
            try:
                item.get(self._folder.steps / path)
            except FileNotFoundError as error:
                gone[name] = str(error)
                continue
            self._done[path] = [item.size, item.tag]
            write_text(self._state, json.dumps(self._done, indent=1))
        return gone

    def _has(self, path: str, item: Item) -> bool:
        here = self._folder.steps / path
        if self._done.get(path) != [item.size, item.tag]:
            return False
        return (
            here.exists()
            if item.size is None
            else here.is_file() and (here.stat().st_size == item.size)
        )
