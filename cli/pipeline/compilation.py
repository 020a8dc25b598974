"""Compiles a pipeline to YAML."""

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
    _offer_choices(spec.root.input_definitions.parameters)
    if platform is not None and platform.parallelism is not None:
        for task in spec.root.dag.tasks.values():
            if task.WhichOneof("iterator"):
                task.iterator_policy.parallelism_limit = platform.parallelism
    with temporary_folder() as folder:
        file = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(definition, str(file))
        # KFP's comment has a list's default in another order each time; it is below, in order.
        return _LIST.sub(r"\1", file.read_text(encoding="utf-8"))


def _offer_choices(parameters: Any) -> None:
    """Let Kubeflow's form offer the words that a parameter may be.

    The field is in the proto, the server and the UI; KFP 2.17's SDK does not write it.

    Args:
        parameters: Those of the pipeline, as the proto has them; changed in place.
    """
    for name, words in CHOICES.items():
        if name in parameters and not parameters[name].literals:
            for word in words:
                parameters[name].literals.add().string_value = word
