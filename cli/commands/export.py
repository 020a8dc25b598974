"""`kfp-finetune export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.commands.options import ModelArgument, RunsDirOption


class Format(StrEnum):
    """File formats of an exported model."""

    pt = "pt"
    savedmodel = "savedmodel"
    onnx = "onnx"


def export(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to create.")],
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="pt: safetensors, for PyTorch and the Hub; savedmodel: for TensorFlow; onnx: for"
            " ONNX Runtime.",
        ),
    ] = Format.pt,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Write a trained model with its tokenizer and its model card to a folder."""
    from kfp_finetune.cli.local.model_export import export_model

    export_model(model, runs_dir, output, form.value)
