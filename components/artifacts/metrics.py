"""The metrics of one split, for machines: metrics.json."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest

# Scalars of which less is better; of all others, more is.
LESS_IS_BETTER = ("loss", "mae", "mse", "rmse", "hamming_loss", "ece", "calibrated_ece")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClassScores(_Part):
    """One row of the per-class table."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    roc_auc: float | None = Field(
        default=None, description="this label against the rest; None without examples of both"
    )
    average_precision: float | None = None
    threshold: float | None = Field(
        default=None, description="multi-label: the probability above which the label is given"
    )


class ReliabilityBin(_Part):
    """The examples whose predictions were about equally confident."""

    confidence: float = Field(description="mean probability of what was predicted")
    accuracy: float = Field(description="share of it that was right")
    count: int


class Reliability(_Part):
    """How far probabilities can be believed."""

    ece: float = Field(description="expected calibration error: mean |confidence - accuracy|")
    loss: float = Field(description="mean negative log-likelihood, in nats")
    bins: list[ReliabilityBin]


class Calibration(_Part):
    """Reliability of the model's probabilities as they are, and divided by its temperature."""

    temperature: float
    before: Reliability
    after: Reliability | None = Field(default=None, description="None: the temperature is 1")


class Slice(_Part):
    """Scores of some of the examples."""

    by: str = Field(description="tokens, label, or a column's name")
    value: str
    num_examples: int
    metrics: dict[str, float]


class Example(_Part):
    """One example that was predicted wrongly."""

    row: int = Field(description="in the source it was read from, counted from 1")
    label: str = Field(description="as the data has it; several are joined by commas")
    predicted: str
    about: str | None = Field(
        default=None, description="multi-label: the one label that `confidence` is about"
    )
    confidence: float | None = Field(
        default=None, description="probability of what was predicted; None for numbers"
    )
    text: str | None = Field(default=None, description="its beginning; None: left out on request")
    text_pair: str | None = None


class ConfusedPair(_Part):
    """A label that was taken for another."""

    label: str
    predicted: str
    count: int
    share: float = Field(description="of the label's examples")
    examples: list[Example]


class RocCurve(_Part):
    """Of two labels: the trade-off between missing the second one and giving it wrongly."""

    false_positive_rates: list[float]
    true_positive_rates: list[float]
    thresholds: list[float] = Field(description="probability of the second label")


class EntityErrors(_Part):
    """What became of the entities of one type; those that are there are in exactly one of five."""

    label: str = Field(description="the type")
    correct: int = 0
    wrong_type: int = Field(default=0, description="found, and taken for another type")
    wrong_boundary: int = Field(default=0, description="of the right type, with other words")
    wrong_both: int = Field(default=0, description="another type was found in some of its words")
    missed: int = Field(default=0, description="nothing was found in its words")
    spurious: int = Field(default=0, description="predicted where there is no entity")
    predicted: int = Field(default=0, description="predicted of this type, right or wrong")


class MarkedSpan(_Part):
    """An entity, or a word, in a sentence: what it is and what was predicted."""

    start: int = Field(description="its first word, from 0")
    stop: int = Field(description="the word after its last")
    label: str | None = Field(default=None, description="None: there is no entity")
    predicted: str | None = Field(default=None, description="None: nothing was found")
    predicted_start: int | None = Field(default=None, description="of what was predicted for it")
    predicted_stop: int | None = None
    kind: str = Field(description="one of the fields of EntityErrors")


class MarkedSentence(_Part):
    """A sentence with what is in it and what was found in it."""

    row: int = Field(description="in the source it was read from, counted from 1")
    words: list[str]
    more_words: int = Field(default=0, description="that are left out")
    spans: list[MarkedSpan]


class Metrics(_Part):
    """What evaluate measured on one split.

    What was added since the first version has a default, so files of both are of version 1.
    """

    schema_version: Literal[1] = 1
    split: str
    num_examples: int
    metrics: dict[str, float] = Field(description="scalars: accuracy, macro_f1, loss, ...")
    intervals: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="95 % bootstrap interval of some of them, over examples"
    )
    baseline: dict[str, float] = Field(
        default_factory=dict, description="the same scalars of always giving the same answer"
    )
    per_class: list[ClassScores] = Field(description="one per label name, in their order")
    confusion_matrix: list[list[int]] = Field(
        description="row i, column j: examples of label i predicted as label j; empty unless every"
        " example has one label, and of more than 200 labels"
    )
    confusion_cells: list[tuple[int, int, int]] = Field(
        default_factory=list,
        description="of more than 200 labels the cells of that matrix that are not 0: row, column,"
        " examples",
    )
    label_names: list[str] = Field(
        description="the label of id i is label_names[i]; empty for regression"
    )
    roc_curve: RocCurve | None = Field(default=None, description="where there are two labels")
    calibration: Calibration | None = Field(default=None, description="None for numbers")
    slices: list[Slice] = Field(default_factory=list)
    mistakes: list[Example] = Field(
        default_factory=list, description="the most confident wrong answers, or the largest errors"
    )
    confused_pairs: list[ConfusedPair] = Field(default_factory=list)
    entity_errors: list[EntityErrors] = Field(
        default_factory=list, description="one per type, where entities are recognized"
    )
    sentences: list[MarkedSentence] = Field(
        default_factory=list, description="with mistakes, the surest first, where words have labels"
    )
    suspected_label_errors: list[Example] = Field(
        default_factory=list, description="where the data's label may be wrong, likeliest first"
    )


def read(path: str | Path) -> Metrics:
    """Read and validate a metrics file."""
    return read_manifest(Path(path), Metrics)


def write(path: str | Path, metrics: Metrics) -> None:
    """Write a metrics file."""
    write_manifest(Path(path), metrics)
