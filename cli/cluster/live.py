"""TensorBoard logs of cluster runs, copied here and kept up to date."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from kfp_finetune.cli.cluster.answers import ClusterError
from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.cluster.observed import find
from kfp_finetune.cli.cluster.outputs import Outputs, no_outputs
from kfp_finetune.cli.cluster.sources import Sources
from kfp_finetune.cli.cluster.steps import Step
from kfp_finetune.cli.local.tensorboard import check_installed, logs_of, serve_logs
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.temporary import temporary_folder
from kfp_finetune.runs.folder import RECORD

SECONDS_BETWEEN_SYNCS = 15.0
_LOGS = "tensorboard_logs"


class ClusterLogs:
    """The event files of one cluster run, in a folder for each training.

    While a run is running, they are only in its `tensorboard_dir`.

    Args:
        cluster: The run's cluster.
        name: The run's name or id.
        folder: The folder to copy to.
        root: The pipeline root, if it is neither in the run nor the default.

    Attributes:
        folders: The folders with event files, by the names of their trainings.
    """

    def __init__(self, cluster: Cluster, name: str, folder: Path, root: str | None) -> None:
        self._cluster = cluster
        self._run = find(cluster, name)
        self._folder = folder
        self._root = root
        self._sources = Sources(cluster)
        self._copied: dict[Path, tuple[int | None, str, bool]] = {}
        title = Path(re.sub(r"[^\w.-]+", "-", self._run.name) + f"-{self._run.id[:8]}")
        self.folders = {
            title / step.task.candidate.strip("."): self._folder_of(step)
            for step in self._run.steps
            if step.task.trial is not None
        } or {title: folder}
        for each in self.folders.values():
            each.mkdir(parents=True, exist_ok=True)

    def sync(self) -> int:
        """Copy new and grown files; return the number of files."""
        if not self._run.is_over:
            self._run = find(self._cluster, self._run.id)
        live = (self._run.parameters.get("tensorboard_dir") or "").rstrip("/")
        there = self._copy(f"{live}/{self._run.id}", self._folder) if live else 0
        if there:
            return there
        outputs = Outputs(self._cluster, self._run, self._sources, self._root)
        return sum(
            self._copy(step.uris[_LOGS], self._folder_of(step.step))
            for step in outputs.all()
            if _LOGS in step.uris
        )

    def check(self) -> None:
        """Copy the available files.

        Raises:
            InputError: If there are no event files.
        """
        if not self.sync():
            place = Outputs(self._cluster, self._run, self._sources, self._root).place
            error = no_outputs(self._run, place)
            error.remedy += "; for a running run, start it with --tensorboard-dir, and add --follow"
            raise error

    def _folder_of(self, step: Step) -> Path:
        return self._folder if step.task.trial is None else self._folder / str(step.task.trial)

    def _copy(self, uri: str, folder: Path) -> int:
        """Copy the event files of a folder, and return their number."""
        there = 0
        for item in self._sources.items(uri):
            target = folder / item.name
            there += 1
            state = (item.size, item.tag, self._run.is_over)
            known = item.size is not None or self._run.is_over
            if known and self._copied.get(target) == state:
                continue
            with temporary_folder() as temporary:
                new = Path(temporary, "new")
                try:
                    item.get(new)
                except FileNotFoundError:
                    there -= 1
                    continue
                for file in [new] if new.is_file() else sorted(new.rglob("*")):
                    if file.is_file():
                        _grow(target / file.relative_to(new), file)
            self._copied[target] = state
        return there


def _grow(target: Path, new: Path) -> None:
    """Update a copy in place, because TensorBoard continues reading the same file."""
    content = new.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.read_bytes() if target.is_file() else None
    if before is not None and content.startswith(before):
        with target.open("ab") as file:
            file.write(content[len(before) :])
    else:
        new.replace(target) if before is None else target.write_bytes(content)


def serve_with_cluster(
    names: Sequence[str],
    runs_dir: Path,
    bind: str,
    port: int,
    connection: Connection,
    root: str | None,
    *,
    follow: bool,
) -> None:
    """Show local and cluster runs in TensorBoard, side by side, until interrupted.

    Args:
        names: Names of local runs, their folders, or names of cluster runs; empty for the newest
            run of the cluster.
        runs_dir: The folder of local runs.
        bind: The address to listen on.
        port: The first port to try.
        connection: The address and the credentials.
        root: The pipeline root, if it is neither in the run nor the default.
        follow: Whether to keep copying the logs of running cluster runs.

    Raises:
        InputError: If a run does not exist or has no logs.
    """
    check_installed()
    cluster = Cluster(connection)
    shown: dict[Path, Path] = {}
    copies: list[ClusterLogs] = []
    with temporary_folder() as temporary:
        for name in names or [_newest(cluster)]:
            local = next((p for p in (runs_dir / name, Path(name)) if (p / RECORD).is_file()), None)
            if local is not None:
                shown |= logs_of(local.resolve())
                continue
            folder = Path(temporary, str(len(copies)))
            logs = ClusterLogs(cluster, name, folder, root)
            if not follow:
                logs.check()
            else:
                logs.sync()
            copies.append(logs)
            shown |= logs.folders
        if follow:
            keep_syncing(copies)
        serve_logs(shown, bind, port)


def _newest(cluster: Cluster) -> str:
    run = next(cluster.runs(), None)
    if run is None:
        raise InputError(
            "the cluster has no runs",
            where=cluster.connection.host or "--host",
            expected="at least one run",
            remedy="submit one: kfp-finetune submit; or name a local run",
        )
    return str(run.run_id)


def keep_syncing(logs: Sequence[ClusterLogs]) -> None:
    """Copy repeatedly in a background thread until this process ends."""

    def keep() -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_SYNCS)
            for each in logs:
                try:
                    each.sync()
                except (ClusterError, InputError, OSError, RuntimeError) as error:
                    print(f"update failed, trying again: {str(error).splitlines()[0]}", flush=True)

    threading.Thread(target=keep, daemon=True).start()
