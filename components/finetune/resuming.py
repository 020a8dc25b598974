"""Whether a run may go on from the checkpoints that lie in its directory."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.parameters import Checkpointing
from kfp_finetune.components.finetune.run_facts import differences, few, fits, only_the_machine


def check_may_resume(
    before: Mapping[str, Any],
    facts: Mapping[str, Any],
    settings: Checkpointing,
    *,
    reached: str,
    where: str,
) -> dict[str, str]:
    """Check that it may.

    A retry of the same run may go on though it finds itself on another machine: where it runs next
    is the cluster's choice, and the alternative is to lose what was trained.

    Args:
        before: Owner, facts and end of the run whose checkpoints they are.
        facts: What determines the result of the run that wants to go on.
        settings: Its owner, and what it was told.
        reached: How far the other was, for messages.
        where: The directory, for messages.

    Returns:
        What differs all the same; the result is bit-identical where nothing does.

    Raises:
        InputError: If it may not.
    """
    same_run = before["owner"] == settings.owner
    reached = "finished" if before["finished"] else reached
    if not same_run and settings.resume == "retry":
        raise InputError(
            f"there are checkpoints of another run, {before['owner']} ({reached})",
            where=where,
            expected="a directory of this run's own; nothing is resumed unasked",
            remedy="give another --checkpoint-dir, or --resume-from-checkpoint exact to go on"
            " from them",
        )
    differs = differences(before["facts"], facts)
    possible = fits(differs) and not before["finished"]
    asked = settings.resume == "any" or (
        settings.resume == "retry" and same_run and only_the_machine(differs)
    )
    if differs and not (possible and asked):
        raise InputError(
            f"the checkpoints ({reached}) are of a training that differs: {few(differs)}",
            where=where,
            expected="a training that is the same in everything that determines its result",
            remedy=_remedy(settings, same_run=same_run, possible=possible),
        )
    return differs


def _remedy(settings: Checkpointing, *, same_run: bool, possible: bool) -> str:
    """What to do about checkpoints of a training that differs."""
    if not possible:
        return "start another with kfp-finetune run, with a checkpoint directory of its own"
    anyway = "continue from them anyway, which is not bit-identical: "
    run = PurePosixPath(settings.owner).parent.parent
    if same_run and settings.resume == "exact" and run.is_absolute():  # `kfp-finetune resume`
        return f"{anyway}kfp-finetune resume {shlex.quote(str(run))} --allow-differences"
    return f"give another --checkpoint-dir, or {anyway}--resume-from-checkpoint any"
