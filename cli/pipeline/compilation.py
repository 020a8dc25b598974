"""Compile a pipeline to YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.cli.pipeline.choices import CHOICES
from kfp_finetune.cli.screen.output import writing
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.components.temporary import temporary_folder
from kfp_finetune.pipelines.catalog import Pipeline

if TYPE_CHECKING:
    from kfp_finetune.cli.cluster.platform import Platform

_LIST = re.compile(r"^(# +\w+: list) \[Default: .*\]$", re.MULTILINE)


def compile_pipeline(pipeline: Pipeline, output: Path, platform: Platform | None = None) -> None:
    """Write a pipeline as YAML; the result is reproducible byte by byte.

    Args:
        pipeline: The pipeline.
        output: The file to write, in an existing folder.
        platform: Resources of the steps; None for the defaults.

    Raises:
        InputError: If the file cannot be written.
    """
    text = compiled(pipeline, platform)
    with writing("the pipeline", output):
        write_text(output, text)


def compiled(pipeline: Pipeline, platform: Platform | None = None) -> str:
    """The YAML text: one document, and a second one if the platform sets anything."""
    from kfp import compiler

    definition = pipeline.load()
    if platform is not None:
        from kfp_finetune.cli.cluster.configure import configured

        definition = configured(definition, platform)
    spec = definition.pipeline_spec
    _offer_choices(spec.root.input_definitions.parameters)
    if platform is not None and platform.parallelism is not None:
        for task in spec.root.dag.tasks.values():
            if task.WhichOneof("iterator"):
                task.iterator_policy.parallelism_limit = platform.parallelism
    with temporary_folder() as folder:
        file = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(definition, str(file))
        # KFP's comment has list defaults in random order; the YAML below has them in order.
        return _LIST.sub(r"\1", file.read_text(encoding="utf-8"))


def _offer_choices(parameters: Any) -> None:
    """Add the choices of parameters, which Kubeflow's form offers.

    The proto, the server and the UI have the field; KFP 2.17's SDK does not write it.

    Args:
        parameters: The parameters of the pipeline in the proto; changed in place.
    """
    for name, words in CHOICES.items():
        if name in parameters and not parameters[name].literals:
            for word in words:
                parameters[name].literals.add().string_value = word
