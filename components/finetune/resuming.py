"""Decide if a run may continue from the checkpoints in its directory."""

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
    """Check that a run may continue from the checkpoints.

    A retry of the same run may continue on another machine: the cluster chooses where it runs next,
    and the alternative is to lose the training.

    Args:
        before: Owner, facts and state of the run that wrote the checkpoints.
        facts: Everything that determines the result of the run that continues.
        settings: The owner of that run, and which checkpoints it may continue from.
        reached: The progress of the checkpoints, for messages.
        where: The directory, for messages.

    Returns:
        The differences between the two, by name; if empty, the result is bit-identical.

    Raises:
        InputError: If it may not continue.
    """
    same_run = before["owner"] == settings.owner
    reached = "finished" if before["finished"] else reached
    if not same_run and settings.resume == "retry":
        raise InputError(
            f"the directory has checkpoints of another run, {before['owner']} ({reached})",
            where=where,
            expected="one checkpoint directory per run; another run's checkpoints are used only on"
            " request",
            remedy="give another --checkpoint-dir, or --resume-from-checkpoint exact to continue"
            " from them",
        )
    differs = differences(before["facts"], facts)
    possible = fits(differs) and not before["finished"]
    asked = settings.resume == "any" or (
        settings.resume == "retry" and same_run and only_the_machine(differs)
    )
    if differs and not (possible and asked):
        raise InputError(
            f"the checkpoints ({reached}) belong to a different training: {few(differs)}",
            where=where,
            expected="checkpoints of the same training (data, model, parameters, machine)",
            remedy=_remedy(settings, same_run=same_run, possible=possible),
        )
    return differs


def _remedy(settings: Checkpointing, *, same_run: bool, possible: bool) -> str:
    """The remedy for checkpoints of a different training."""
    if not possible:
        return "start another with kfp-finetune run and another --checkpoint-dir"
    anyway = "continue from them anyway, which is not bit-identical: "
    run = PurePosixPath(settings.owner).parent.parent
    if same_run and settings.resume == "exact" and run.is_absolute():  # `kfp-finetune resume`
        return f"{anyway}kfp-finetune resume {shlex.quote(str(run))} --allow-differences"
    return f"give another --checkpoint-dir, or {anyway}--resume-from-checkpoint any"
