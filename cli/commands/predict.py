"""`kfp-finetune predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_finetune.cli.commands.options import ModelArgument, RunsDirOption
from kfp_finetune.cli.commands.pipeline_options import as_options, offered

# Parameters for reading a file of texts.
_OF_A_FILE = (
    "text_column",
    "text_pair_column",
    "column_names",
    "delimiter",
    "quoting",
    "encoding",
    "on_bad_row",
    "precision",
)


@as_options(offered(names=_OF_A_FILE))
def predict(
    flags: dict[str, Any],
    model: ModelArgument,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts to predict labels for.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            help="File of texts, in any format that run reads, or .txt with one text per line; -"
            " reads standard input."
        ),
    ] = None,
    text: Annotated[
        bool,
        typer.Option(
            "--text/--no-text",
            help="With --file: print the texts beside their predictions.  [default: true]",
            show_default=False,
        ),
    ] = True,
    batch_size: Annotated[int, typer.Option(help="Texts per batch.", min=1)] = 32,
    top_k: Annotated[
        int | None, typer.Option(help="Print this many labels, the most probable first.", min=1)
    ] = None,
    temperature: Annotated[
        bool,
        typer.Option(
            "--temperature/--no-temperature",
            help="Calibrate probabilities with the temperature fitted in training."
            "  [default: true]",
            show_default=False,
        ),
    ] = True,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Predict labels for texts with a trained model; for a file, print one JSON line per row."""
    from kfp_finetune.cli.local.prediction import Output, predict_texts

    how = Output(batch_size=batch_size, top_k=top_k, calibrated=temperature, with_texts=text)
    predict_texts(model, texts or [], flags, runs_dir=runs_dir, file=file, output=how)
