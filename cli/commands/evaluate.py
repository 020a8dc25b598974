"""`kfp-finetune evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_finetune.cli.commands.options import ModelArgument, RunsDirOption
from kfp_finetune.cli.commands.pipeline_options import as_options, offered

# Parameters for reading the data to score the model on.
_OF_OTHER_DATA = (
    "dataset",
    "dataset_config",
    "dataset_revision",
    "text_column",
    "text_pair_column",
    "label_column",
    "label_names",
    "slice_columns",
    "column_names",
    "delimiter",
    "quoting",
    "encoding",
    "on_bad_row",
    "drop_duplicates",
    "precision",
    "texts_in_report",
)
_DATASET = (
    "Labelled data to score the model on: a file, a folder, a pattern such as data/*.csv, a URI, or"
    " a Hub id. Required."
)


@as_options(offered(names=_OF_OTHER_DATA), described={"dataset": _DATASET})
def evaluate(
    flags: dict[str, Any],
    model: ModelArgument,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of the dataset to use; by default test if there is one, else all rows."
        ),
    ] = None,
    runs_dir: RunsDirOption = Path("runs"),
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder to write to; by default a new one beside the run."
        ),
    ] = None,
) -> None:
    """Score a trained model on other data."""
    from kfp_finetune.local.evaluation import evaluate_model

    evaluate_model(model, flags, split=split, runs_dir=runs_dir, output=output)
