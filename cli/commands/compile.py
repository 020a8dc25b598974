"""`kfp-finetune compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kfp_finetune.cli.commands.options import PipelineOption, PlatformFlags, takes
from kfp_finetune.pipelines import catalog


@takes(platform=PlatformFlags)
def compile_(
    platform: PlatformFlags,
    pipeline: PipelineOption = "finetune",
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path(
        "pipeline.yaml"
    ),
) -> None:
    """Write a pipeline as YAML for Kubeflow Pipelines."""
    from kfp_finetune.cli.pipeline.compilation import compile_pipeline

    chosen = catalog.find(pipeline)
    compile_pipeline(chosen, output, platform.load(chosen))
    print(f"wrote {output}")
