"""`kfp-finetune push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.commands.options import ModelArgument, RunsDirOption


def push(
    model: ModelArgument,
    hub_id: Annotated[
        str, typer.Argument(metavar="HUB_ID", help="Repository on the Hub: OWNER/NAME.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Create the repository as private.")
    ] = False,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Upload a trained model and its card to the Hugging Face Hub, using the token in HF_TOKEN."""
    from kfp_finetune.cli.local.model_export import push_model

    push_model(model, runs_dir, hub_id, private=private)
