"""Compiles a pipeline to YAML."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from kfp_finetune.cli.catalog import Pipeline
from kfp_finetune.cli.output import writing
from kfp_finetune.components.artifacts.files import write_text
from kfp_finetune.components.errors import InputError

_IMAGE = re.compile(r"[\w][\w.:/@-]*", re.ASCII)


def compile_pipeline(pipeline: Pipeline, output: Path, image: str | None = None) -> None:
    """Write a pipeline as YAML, the same bytes every time.

    Args:
        pipeline: Which.
        output: The file to write; its folder exists.
        image: The image of every step; None for the one the components declare.

    Raises:
        InputError: If the image is not a reference, or the file cannot be written.
    """
    if image is not None and not _IMAGE.fullmatch(image):
        raise InputError(
            f"'{image}' is not an image reference",
            where="--image",
            expected="such as registry.example.com/kfp-finetune:0.1.0",
            remedy="give the reference that `docker pull` takes",
        )
    text = _compile(pipeline.load())
    if image is not None:
        text = _with_image(text, image)
    with writing("the pipeline", output):
        write_text(output, text)


def _compile(pipeline: Any) -> str:
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(pipeline, str(file))
        return file.read_text(encoding="utf-8")


def _with_image(text: str, image: str) -> str:
    """The compiled pipeline with another image in every step."""
    import yaml
    from kfp import components

    documents = list(yaml.safe_load_all(text))
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        if "container" in executor:
            executor["container"]["image"] = image
    again = _compile(components.load_component_from_text(yaml.safe_dump_all(documents)))
    # KFP heads what it compiles a second time with the description of some step.
    return text[: _body(text)] + again[_body(again) :]


def _body(text: str) -> int:
    """Where the comments at the head of a compiled pipeline end."""
    found = re.search(r"^[^#]", text, re.MULTILINE)
    return found.start() if found else len(text)
