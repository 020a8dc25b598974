"""`kfp-finetune schedules`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import takes
from kfp_finetune.components.errors import InputError


class Action(StrEnum):
    """Changes to a schedule."""

    pause = "pause"
    resume = "resume"
    delete = "delete"


@takes(connection=Connection)
def schedules(
    connection: Connection,
    action: Annotated[
        Action | None,
        typer.Argument(
            metavar="pause|resume|delete",
            help="Change to make; omit it to list the schedules.",
            show_default=False,
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Argument(
            metavar="SCHEDULE",
            help="The schedule's id, or its name if the name is unique.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """List the schedules that submit --cron created, or pause, resume or delete one."""
    from kfp_finetune.cli.cluster import schedules

    if action is None:
        schedules.list_schedules(connection, as_json=as_json)
    elif schedule is None:
        raise InputError(
            "no schedule is given",
            where="the command line",
            expected=f"kfp-finetune schedules {action} SCHEDULE",
            remedy=f"kfp-finetune schedules{connection.flags} lists them",
        )
    else:
        schedules.change(action.value, schedule, connection)
