"""Compiles a pipeline to YAML."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_finetune.cli.catalog import Pipeline
from kfp_finetune.cli.output import writing
from kfp_finetune.components.artifacts.files import write_text

if TYPE_CHECKING:
    from kfp_finetune.cli.cluster.platform import Platform


def compile_pipeline(pipeline: Pipeline, output: Path, platform: Platform | None = None) -> None:
    """Write a pipeline as YAML, the same bytes every time.

    Args:
        pipeline: Which.
        output: The file to write; its folder exists.
        platform: What the cluster gives the steps; None: nothing in particular.

    Raises:
        InputError: If the file cannot be written.
    """
    text = compiled(pipeline, platform)
    with writing("the pipeline", output):
        write_text(output, text)


def compiled(pipeline: Pipeline, platform: Platform | None = None) -> str:
    """The same as text: a YAML document, and a second one where the platform sets anything."""
    from kfp import compiler

    definition = pipeline.load()
    if platform is not None:
        from kfp_finetune.cli.cluster.configure import configured

        definition = configured(definition, platform)
    spec = definition.pipeline_spec
    if platform is not None and platform.parallelism is not None:
        for task in spec.root.dag.tasks.values():
            if task.WhichOneof("iterator"):
                task.iterator_policy.parallelism_limit = platform.parallelism
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(definition, str(file))
        return file.read_text(encoding="utf-8")
