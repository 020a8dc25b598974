"""`kfp-finetune terminate`."""

from __future__ import annotations

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import ClusterRunArgument, takes


@takes(connection=Connection)
def terminate(connection: Connection, run: ClusterRunArgument) -> None:
    """Terminate a cluster run."""
    from kfp_finetune.cli.cluster import actions

    actions.terminate(run, connection)
