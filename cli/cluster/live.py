"""TensorBoard logs of cluster runs, copied here and kept up to date."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.options import Connection
from kfp_finetune.cli.cluster.outputs import Outputs, no_outputs
from kfp_finetune.cli.cluster.store import Store, Stored
from kfp_finetune.cli.run_folder import RECORD
from kfp_finetune.cli.tensorboard import check_installed, logs_of, serve_logs
from kfp_finetune.components.errors import InputError

SECONDS_BETWEEN_SYNCS = 15.0
_LOGS = "tensorboard_logs"


class ClusterLogs:
    """The event files of one cluster run.

    A run that is still going has them only where its `tensorboard_dir` says.

    Args:
        cluster: Where it runs.
        run: The run.
        folder: Where they are copied to.
        root: Its pipeline root, where neither the run nor the default says it.
    """

    def __init__(self, cluster: Cluster, run: Any, folder: Path, root: str | None) -> None:
        self._cluster = cluster
        self._run = run
        self._folder = folder
        self._root = root
        self._copied: dict[str, tuple[int, str]] = {}

    def sync(self) -> int:
        """Copy what is new or has grown; returns how many files there are."""
        files = self._live()
        if files is None:
            outputs = Outputs(self._cluster, self._run, self._root)
            files = [
                (outputs.get, file.name.removeprefix(f"{_LOGS}/"), file)
                for step in outputs.of(["finetune"])
                for file in step.files
                if file.name.startswith(f"{_LOGS}/")
            ]
        for get, name, file in files:
            if self._copied.get(name) != (file.size, file.tag):
                # In place: TensorBoard goes on reading where it was.
                get(file, self._folder / name)
                self._copied[name] = (file.size, file.tag)
        return len(files)

    def check(self) -> None:
        """Copy what there is.

        Raises:
            InputError: If there is nothing.
        """
        if not self.sync():
            error = no_outputs(self._run, Outputs(self._cluster, self._run, self._root).place)
            error.remedy += "; a run that is still going needs a --tensorboard-dir, and --follow"
            raise error

    def _live(self) -> list[tuple[Callable[[Stored, Path], None], str, Stored]] | None:
        config = self._run.runtime_config
        directory = ((config.parameters if config else None) or {}).get("tensorboard_dir")
        if not directory:
            return None
        store = Store.open(directory)
        return [(store.get, file.name, file) for file in store.files(self._run.run_id)] or None


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
        names: Of local runs, their folders, or of cluster runs; empty for the cluster's newest.
        runs_dir: The folder of local runs.
        bind: The address to listen on.
        port: The first port to try.
        connection: Which Kubeflow.
        root: The pipeline root, where neither the run nor the default says it.
        follow: Whether what cluster runs go on writing is copied, too.

    Raises:
        InputError: If a run is not there or has no logs.
    """
    check_installed()
    cluster = Cluster(connection)
    shown: dict[Path, Path] = {}
    copies = []
    with tempfile.TemporaryDirectory(prefix="kfp-finetune-") as temporary:
        for name in names or [next(cluster.runs()).run_id]:
            local = next((p for p in (runs_dir / name, Path(name)) if (p / RECORD).is_file()), None)
            if local is not None:
                shown |= logs_of(local.resolve())
                continue
            run = cluster.find_run(name)
            folder = Path(temporary, run.run_id)
            folder.mkdir()
            logs = ClusterLogs(cluster, run, folder, root)
            if not follow:
                logs.check()
            else:
                logs.sync()
            copies.append(logs)
            shown[folder.with_name(_title(run))] = folder
        if follow:
            keep_syncing(copies)
        serve_logs(shown, bind, port)


def _title(run: Any) -> str:
    return re.sub(r"[^\w.-]+", "-", run.display_name or "") + f"-{run.run_id[:8]}"


def keep_syncing(logs: Sequence[ClusterLogs]) -> None:
    """Copy again and again, beside what this process does, until it ends."""

    def keep() -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_SYNCS)
            for each in logs:
                try:
                    each.sync()
                except (InputError, OSError, RuntimeError) as error:
                    print(f"not updated this time: {str(error).splitlines()[0]}", flush=True)

    threading.Thread(target=keep, daemon=True).start()
