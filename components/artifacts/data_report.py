"""The data report of load_data: for `check --json` and the HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest

FILE = "data_report.json"


class Example(BaseModel):
    """One example from the data."""

    model_config = ConfigDict(extra="forbid")

    split: str
    row: int = Field(description="counted from 1")
    text: str
    text_pair: str | None = None
    label: str


class NumberBin(BaseModel):
    """The rows whose number is in a range; the last range includes its upper end."""

    model_config = ConfigDict(extra="forbid")

    low: float
    high: float
    rows: dict[str, int] = Field(description="by split")


class Numbers(BaseModel):
    """The distribution of the numbers of a regression, over all splits."""

    model_config = ConfigDict(extra="forbid")

    lowest: float
    highest: float
    mean: float
    standard_deviation: float
    bins: list[NumberBin] = Field(description="of equal width, ascending")


class DataReport(BaseModel):
    """The data report."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    schema_version: Literal[1] = 1
    dataset: str
    model: str
    rows_read: dict[str, int] = Field(description="data rows read, by split")
    rows_kept: dict[str, int]
    rows_dropped: dict[str, dict[str, int]] = Field(description="by split and reason")
    divided: dict[str, int] = Field(
        default_factory=dict,
        description="additional examples because long rows were divided, by split",
    )
    unit: str = Field(default="rows", description="unit that has a label: rows or words")
    problem_type: str
    labels: dict[str, dict[str, int]] = Field(description="rows by label and split")
    numbers: Numbers | None = Field(default=None, description="only for regression")
    sources: dict[str, str] = Field(
        default_factory=dict, description="file, folder or split that each split's rows come from"
    )
    overlaps: dict[str, int] = Field(
        default_factory=dict,
        description='by two splits such as "train, test": rows of the first whose text is in both',
    )
    columns: dict[str, str] = Field(description="column of the text, the label, ...")
    max_length: int
    length_percentiles: dict[str, int] = Field(description="tokens per row before truncation")
    truncated_share: float
    max_length_for_1_percent: int = Field(description="truncates fewer than 1 % of the rows")
    unknown_token_share: float = Field(description="share of tokens unknown to the tokenizer")
    pieces_per_word: float | None = Field(
        default=None,
        description="tokens per word or punctuation mark, in a sample; None: not measured",
    )
    steps_per_epoch: int | None = None
    num_train_steps: int | None = None
    step_plan: str | None = None
    notes: list[str] = Field(description="what was inferred or assumed")
    warnings: list[str]
    examples: list[Example]


def read(path: str | Path) -> DataReport:
    """Read and validate a data report."""
    return read_manifest(Path(path) / FILE, DataReport)


def write(path: str | Path, report: DataReport) -> None:
    """Write a data report."""
    write_manifest(Path(path) / FILE, report)
