"""`kfp-finetune check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_finetune.cli.commands.options import ConfigOption
from kfp_finetune.cli.commands.pipeline_options import FINETUNE, as_options, offered
from kfp_finetune.components.errors import InputError


@as_options(offered(steps=("load_data", "count_steps")))
def check(
    flags: dict[str, Any],
    source: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help="Training data; the same as --dataset."),
    ] = None,
    config: ConfigOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON object.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Also save the report as this HTML page."),
    ] = None,
) -> None:
    """Report a dataset's columns, labels and lengths, and the number of training steps."""
    from kfp_finetune.cli.local.data_check import check_data

    if source is not None:
        if "dataset" in flags:
            raise InputError(
                "the dataset is given twice",
                where="the command line",
                expected="DATASET or --dataset",
                remedy="omit --dataset",
            )
        flags["dataset"] = source
    check_data(FINETUNE, flags, config, as_json=json, output=output)
