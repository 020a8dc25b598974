"""Remove runs that failed or were interrupted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from kfp_finetune.cli.runs.table import open_runs
from kfp_finetune.components.errors import InputError
from kfp_finetune.runs.folder import RunFolder

_REMOVED = ("failed", "interrupted")


def prune(runs_dir: Path, *, yes: bool) -> None:
    """Remove failed and interrupted runs, after confirmation.

    Args:
        runs_dir: The folder of runs.
        yes: Whether to skip the confirmation.

    Raises:
        InputError: If there is no such folder, confirmation is impossible, or a run cannot be
            removed.
    """
    ended = [f for f in open_runs(runs_dir) if f.status() in _REMOVED]
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
                f"cannot ask for confirmation to remove {runs}: not a terminal",
                where="standard input",
                expected="a terminal, or --yes",
                remedy="kfp-finetune runs --prune --yes",
            )
        if input(f"Remove {runs}? [y/N] ").strip().lower() not in ("y", "yes"):
            return
    for folder in ended:
        try:
            with folder.running():  # so that it cannot be resumed in the meantime
                if RunFolder.open(folder.path).record.status != "succeeded":
                    shutil.rmtree(folder.path)
        except OSError as error:
            raise InputError(
                f"run '{folder.record.name}' cannot be removed: {error.strerror or error}",
                where=str(folder.path),
                expected="a folder that can be written",
                remedy=f"rm -r {folder.path}",
            ) from None
    print(f"removed {len(ended)} run{'s' * (len(ended) > 1)}")
