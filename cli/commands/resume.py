"""`kfp-finetune resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import RunsDirOption, takes
from kfp_finetune.components.errors import InputError


@takes(connection=Connection)
def resume(
    connection: Connection,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Name or folder of a local run; with --host the id or name of a cluster run.",
        ),
    ],
    runs_dir: RunsDirOption = Path("runs"),
    allow_differences: Annotated[
        bool,
        typer.Option(
            "--allow-differences",
            help="Continue even if something that affects the result has changed, such as the"
            " number of threads; the result is then not bit-identical.",
        ),
    ] = False,
    uri: Annotated[
        list[str] | None,
        typer.Option(
            "--uri",
            metavar="URI",
            help="A URI of the run with its user, password or token, which are not stored. Can be"
            " repeated.",
        ),
    ] = None,
) -> None:
    """Continue a killed, interrupted or failed run from its last checkpoint."""
    if connection.host is None:
        from kfp_finetune.local import execution

        execution.resume(run, runs_dir, allow_differences=allow_differences, uris=uri or [])
        return
    from kfp_finetune.cli.cluster.client import Cluster
    from kfp_finetune.cli.cluster.resume import resume_on_cluster

    if allow_differences:
        raise InputError(
            "--allow-differences is given with --host",
            where="the command line",
            expected="a run of this machine",
            remedy="omit --allow-differences: on a cluster every retry uses the same image",
        )
    resume_on_cluster(Cluster(connection), run)
