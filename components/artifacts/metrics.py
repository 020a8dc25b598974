"""The metrics of one split, for machines: metrics.json."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest


class ClassScores(BaseModel):
    """One row of the per-class table."""

    model_config = ConfigDict(extra="forbid")

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class Metrics(BaseModel):
    """What evaluate measured on one split."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    split: str
    num_examples: int
    metrics: dict[str, float] = Field(description="scalars: accuracy, macro_f1, loss, ...")
    per_class: list[ClassScores] = Field(description="one per label name, in their order")
    confusion_matrix: list[list[int]] = Field(
        description="row i, column j: examples of label i predicted as label j; empty unless every"
        " example has one label"
    )
    label_names: list[str] = Field(
        description="the label of id i is label_names[i]; empty for regression"
    )


def read(path: str | Path) -> Metrics:
    """Read and validate a metrics file."""
    return read_manifest(Path(path), Metrics)


def write(path: str | Path, metrics: Metrics) -> None:
    """Write a metrics file."""
    write_manifest(Path(path), metrics)
