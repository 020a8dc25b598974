"""`kfp-finetune tensorboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import RootOption, RunsDirOption, takes


@takes(connection=Connection)
def tensorboard(
    connection: Connection,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Names or folders of runs, by default the newest; with --host also cluster runs.",
        ),
    ] = None,
    runs_dir: RunsDirOption = Path("runs"),
    port: Annotated[int, typer.Option(help="First port to try.", min=0, max=65535)] = 6006,
    bind: Annotated[str, typer.Option(help="Address to listen on.")] = "localhost",
    pipeline_root: RootOption = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Keep copying the logs of cluster runs while they train."),
    ] = False,
) -> None:
    """Open TensorBoard on one or more runs: learning rate and loss of every step, side by side."""
    if connection.host is None:
        from kfp_finetune.cli.local.tensorboard import serve

        serve(runs or [], runs_dir, bind, port)
        return
    from kfp_finetune.cli.cluster.live import serve_with_cluster

    serve_with_cluster(runs or [], runs_dir, bind, port, connection, pipeline_root, follow=follow)
