"""`kfp-finetune logs`."""

from __future__ import annotations

from typing import Annotated

import typer

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import ClusterRunArgument, RootOption, takes


@takes(connection=Connection)
def logs(
    connection: Connection,
    run: ClusterRunArgument,
    step: Annotated[
        str, typer.Argument(metavar="STEP", help="Name of a pipeline step, such as finetune.")
    ],
    candidate: Annotated[
        str | None,
        typer.Option(help="Candidate of a comparison: its name, or its number from 1."),
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option(help="Attempt to print if the step was retried, from 1; by default the last."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing until the step has ended.")
    ] = False,
    pipeline_root: RootOption = None,
) -> None:
    """Print the log of a pipeline step on a cluster, even after its pod is gone."""
    from kfp_finetune.cli.cluster import logs
    from kfp_finetune.cli.cluster.client import Cluster

    wanted = logs.Wanted(step, candidate, attempt, pipeline_root)
    logs.show(Cluster(connection), run, wanted, follow=follow)
