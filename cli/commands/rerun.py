"""`kfp-finetune rerun`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import (
    PlatformFlags,
    RunsDirOption,
    SubmissionFlags,
    takes,
)
from kfp_finetune.cli.commands.pipeline_options import as_options, offered


@as_options(offered())
@takes(connection=Connection, submission=SubmissionFlags, platform=PlatformFlags)
def rerun(
    flags: dict[str, Any],
    connection: Connection,
    submission: SubmissionFlags,
    platform: PlatformFlags,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Name or folder of a local run; with --host also the id or name of a cluster run.",
        ),
    ],
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Repeat a run with the options you change, on this machine or, with --host, on a cluster."""
    from kfp_finetune.pipelines.settings import with_paths
    from kfp_finetune.runs.trained_models import base_model

    changes = with_paths(flags, Path())
    if changes.get("model"):
        changes["model"] = base_model(changes["model"], runs_dir)
    if connection.host is None:
        from kfp_finetune.cli.local.reruns import rerun_here

        submission.check_local()
        rerun_here(
            run,
            changes,
            runs_dir=runs_dir,
            new_name=submission.name,
            use_cache=not submission.no_cache,
        )
        return
    from kfp_finetune.cli.cluster import reruns

    reruns.rerun(
        run,
        changes,
        runs_dir,
        connection,
        submission.as_submission(),
        None if platform == PlatformFlags() else platform.load,
        waits=submission.wait,
    )
