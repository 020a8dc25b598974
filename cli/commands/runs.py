"""`kfp-finetune runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import RunsDirOption, takes
from kfp_finetune.components.errors import InputError


@takes(connection=Connection)
def runs(
    connection: Connection,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="List the best runs first by this metric, such as accuracy; started: the newest"
            " first. By default the metric that the runs optimised.",
        ),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Show every column, however wide the table becomes.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove failed and interrupted runs, after confirmation."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --prune: do not ask for confirmation.")
    ] = False,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Compare the runs of each task and dataset, best first; --host shows a cluster's runs."""
    from kfp_finetune.cli.runs import pruning, table

    if connection.host is not None:
        if prune or sort:
            option = "--prune" if prune else "--sort"
            raise InputError(
                f"{option} is given with --host",
                where="the command line",
                expected="--sort and --prune for the runs of this machine only",
                remedy=f"omit {option}; to compare cluster runs here, first download them with"
                f" kfp-finetune fetch RUN{connection.flags}",
            )
        from kfp_finetune.cli.cluster.actions import cluster_runs

        table.list_cluster_runs(cluster_runs(connection), as_json=json, wide=wide)
    elif prune:
        pruning.prune(runs_dir, yes=yes)
    else:
        table.list_runs(runs_dir, sort=sort, as_json=json, wide=wide)
