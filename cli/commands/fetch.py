"""`kfp-finetune fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import ClusterRunArgument, RootOption, takes


@takes(connection=Connection)
def fetch(
    connection: Connection,
    run: ClusterRunArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Run folder to create; by default runs/NAME."),
    ] = None,
    pipeline_root: RootOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also download the tokenized data.")
    ] = False,
) -> None:
    """Download the metrics, report, TensorBoard logs and model of a cluster run."""
    from kfp_finetune.cli.cluster import actions

    actions.fetch(run, connection, output, pipeline_root, everything=everything)
