"""`kfp-finetune status`."""

from __future__ import annotations

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import ClusterRunArgument, takes


@takes(connection=Connection)
def status(connection: Connection, run: ClusterRunArgument) -> None:
    """Show the progress of a cluster run, and why it is waiting or failed."""
    from kfp_finetune.cli.cluster import status
    from kfp_finetune.cli.cluster.client import Cluster

    status.show(Cluster(connection), run)
