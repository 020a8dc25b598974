"""The commands on trained models: what they are called and what they take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_finetune.cli.cluster.options import RunsDirOption
from kfp_finetune.cli.pipeline import options
from kfp_finetune.pipelines import parameters

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_MODEL", help="A run's name, its folder, or the folder of a model."
    ),
]
# What says how other data is read than a model was trained on.
OTHER_DATA = (
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

# The same for a file of texts to predict for.
OF_A_FILE = (
    "text_column",
    "text_pair_column",
    "column_names",
    "delimiter",
    "quoting",
    "encoding",
    "on_bad_row",
    "precision",
)


class ExportFormat(StrEnum):
    """What `export` writes."""

    pt = "pt"
    savedmodel = "savedmodel"
    onnx = "onnx"


def register(app: typer.Typer, offered: tuple[parameters.Parameter, ...]) -> None:
    """Add the commands.

    Args:
        app: The command line.
        offered: The parameters of the pipeline finetune.
    """

    @app.command("evaluate", cls=options.GroupedCommand)
    @options.as_options([p for p in offered if p.name in OTHER_DATA])
    def evaluate(
        flags: dict[str, Any],
        model: Annotated[
            str,
            typer.Argument(metavar="RUN_OR_MODEL", help="A run's name or folder, or a model's."),
        ],
        split: Annotated[
            str | None,
            typer.Option(
                help="Which split of the dataset; test where there is one, else all of it."
            ),
        ] = None,
        runs_dir: RunsDirOption = Path("runs"),
        output: Annotated[
            Path | None,
            typer.Option(
                "-o",
                "--output",
                help="The folder to write into; a new one beside the run if not given.",
            ),
        ] = None,
    ) -> None:
        """Score a trained model on other data; nothing is trained."""
        from kfp_finetune.local.evaluation import evaluate_model

        evaluate_model(model, flags, split=split, runs_dir=runs_dir, output=output)

    @app.command("predict", cls=options.GroupedCommand)
    @options.as_options([p for p in offered if p.name in OF_A_FILE])
    def predict(
        flags: dict[str, Any],
        model: ModelArgument,
        texts: Annotated[
            list[str] | None, typer.Argument(metavar="TEXT", help="What to predict for.")
        ] = None,
        file: Annotated[
            str | None,
            typer.Option(
                help="A file of texts: any that a run reads, or .txt with one a line; - for stdin."
            ),
        ] = None,
        text: Annotated[
            bool, typer.Option("--text/--no-text", help="Print a file's texts, too.")
        ] = True,
        batch_size: Annotated[int, typer.Option(help="Texts per batch.", min=1)] = 32,
        top_k: Annotated[
            int | None, typer.Option(help="Tell so many labels, the most probable first.", min=1)
        ] = None,
        temperature: Annotated[
            bool,
            typer.Option(
                "--temperature/--no-temperature",
                help="Calibrate probabilities with the temperature fitted in training.",
            ),
        ] = True,
        runs_dir: RunsDirOption = Path("runs"),
    ) -> None:
        """Predict for texts with a trained model; for a file, print a JSON line for every row."""
        from kfp_finetune.cli.local.prediction import predict

        predict(
            model,
            texts or [],
            flags,
            runs_dir=runs_dir,
            file=file,
            batch_size=batch_size,
            top_k=top_k,
            calibrated=temperature,
            with_texts=text,
        )

    @app.command("export")
    def export(
        model: ModelArgument,
        output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.")],
        form: Annotated[
            ExportFormat,
            typer.Option(
                "--format",
                help="pt: safetensors, for PyTorch and the Hub; savedmodel: for TensorFlow; or"
                " onnx.",
            ),
        ] = ExportFormat.pt,
        runs_dir: RunsDirOption = Path("runs"),
    ) -> None:
        """Write a trained model, its tokenizer and its card into a folder that others can use."""
        from kfp_finetune.cli.local.model_export import export

        export(model, runs_dir, output, form.value)

    @app.command("push")
    def push(
        model: ModelArgument,
        hub_id: Annotated[str, typer.Argument(metavar="HUB_ID", help="owner/name.")],
        private: Annotated[
            bool, typer.Option("--private", help="Let nobody else see a repository that is made.")
        ] = False,
        runs_dir: RunsDirOption = Path("runs"),
    ) -> None:
        """Upload a trained model and its card to the Hugging Face Hub; HF_TOKEN is the token."""
        from kfp_finetune.cli.local.model_export import push

        push(model, runs_dir, hub_id, private=private)
