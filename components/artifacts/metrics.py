"""The metrics of one split: metrics.json."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest
from kfp_finetune.components.artifacts.verdict import Verdict
from kfp_finetune.components.inert import inert

# Scalars that are better if smaller; all others are better if larger.
LESS_IS_BETTER = ("loss", "mae", "mse", "rmse", "hamming_loss", "ece", "calibrated_ece")

# Scores whose names begin with this are those at a threshold of 0.5, as in training; the others are
# those at the thresholds that were fitted.
UNTUNED = "untuned_"

# The scores of a positive label, as scikit-learn names them.
POSITIVE_SCORES = ("f1", "precision", "recall")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClassScores(_Part):
    """The scores of one class."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    roc_auc: float | None = Field(
        default=None, description="one against the rest; None without examples of both"
    )
    average_precision: float | None = None
    threshold: float | None = Field(
        default=None, description="multi-label: probability above which the label is predicted"
    )


class RareLabel(_Part):
    """A label or entity type with few training examples: its weight and its scores."""

    id: int = Field(description="number of the label; for an entity type, of its B- tag")
    label: str
    train_examples: int
    test_examples: int
    weight: float = Field(description="weight in the training loss; 1 if none was given")
    precision: float
    recall: float
    f1: float
    recall_before: float | None = Field(
        default=None, description="in the repeated run with other weights; None: unknown"
    )
    f1_before: float | None = None


class ReliabilityBin(_Part):
    """Examples whose predictions have similar probabilities."""

    confidence: float = Field(description="mean probability of the predictions")
    accuracy: float = Field(description="share of the predictions that is correct")
    count: int


class Reliability(_Part):
    """The reliability of probabilities."""

    ece: float = Field(description="expected calibration error: mean |confidence - accuracy|")
    loss: float = Field(description="mean negative log-likelihood, in nats")
    bins: list[ReliabilityBin]


class Calibration(_Part):
    """Reliability of uncalibrated probabilities, and of those with the temperature."""

    temperature: float
    before: Reliability
    after: Reliability | None = Field(default=None, description="None: the temperature is 1")
    rejected_temperature: float | None = Field(
        default=None, description="as in the model's manifest: fitted, and not used"
    )


class Slice(_Part):
    """Scores of a part of the examples."""

    by: str = Field(description="tokens, label, or a column's name")
    value: str
    num_examples: int
    metrics: dict[str, float]


class Example(_Part):
    """One example with a wrong prediction."""

    row: int = Field(description="number in its source, counted from 1")
    label: str = Field(description="label in the data; several are joined by commas")
    predicted: str
    about: str | None = Field(
        default=None, description="multi-label: the label with the most confident error"
    )
    about_predicted: bool | None = Field(
        default=None, description="multi-label: whether that label was predicted"
    )
    confidence: float | None = Field(
        default=None, description="probability of the prediction; None for numbers"
    )
    text: str | None = Field(default=None, description="its beginning; None: omitted on request")
    text_pair: str | None = None


class ConfusedPair(_Part):
    """A label that was mistaken for another."""

    label: str
    predicted: str
    count: int
    share: float = Field(description="of the label's examples")
    examples: list[Example]


class RocCurve(_Part):
    """The ROC curve of the positive one of two labels, by default the second."""

    false_positive_rates: list[float]
    true_positive_rates: list[float]
    thresholds: list[float] = Field(description="probability of that label")


class NumberPairs(_Part):
    """True and predicted numbers of the same examples, evenly chosen if there are many."""

    labels: list[float]
    predicted: list[float]


class EntityErrors(_Part):
    """The outcomes of the entities of one type; each true entity is in one of five counts."""

    label: str = Field(description="the type")
    correct: int = 0
    wrong_type: int = Field(default=0, description="right span, predicted as another type")
    wrong_boundary: int = Field(default=0, description="right type, wrong span")
    wrong_both: int = Field(default=0, description="wrong span and type, overlapping")
    missed: int = Field(default=0, description="no prediction overlaps it")
    spurious: int = Field(default=0, description="predictions where there is no entity")
    predicted: int = Field(default=0, description="predictions of this type, correct or wrong")


class MarkedSpan(_Part):
    """An entity or a word in a sentence, with its label and prediction."""

    start: int = Field(description="index of its first word, from 0")
    stop: int = Field(description="index after its last word")
    label: str | None = Field(default=None, description="None: there is no entity")
    predicted: str | None = Field(default=None, description="None: nothing was predicted")
    predicted_start: int | None = Field(default=None, description="start of the prediction")
    predicted_stop: int | None = None
    kind: str = Field(description="one of the fields of EntityErrors")


class MarkedSentence(_Part):
    """A sentence with its true and predicted spans."""

    row: int = Field(description="number in its source, counted from 1")
    words: list[str]
    more_words: int = Field(default=0, description="number of words omitted")
    spans: list[MarkedSpan]


class Metrics(_Part):
    """The metrics of one split.

    Fields that were added later have a default, so that older files remain valid.
    """

    schema_version: Literal[1] = 1
    split: str
    num_examples: int
    metrics: dict[str, float] = Field(description="scalars: accuracy, macro_f1, loss, ...")
    intervals: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="95 % bootstrap intervals of some of them, over examples"
    )
    baseline: dict[str, float] = Field(
        default_factory=dict, description="the same scalars of the constant-answer baseline"
    )
    per_class: list[ClassScores] = Field(description="one per label name, in the same order")
    confusion_matrix: list[list[int]] = Field(
        description="row i, column j: examples of label i predicted as label j; empty unless every"
        " example has one label, and for more than 200 labels"
    )
    confusion_cells: list[tuple[int, int, int]] = Field(
        default_factory=list,
        description="for more than 200 labels its non-zero cells: row, column, examples",
    )
    label_names: list[str] = Field(
        description="the label of id i is label_names[i]; empty for regression"
    )
    positive_label: str | None = Field(
        default=None, description="label that precision, recall and f1 are about, if it was given"
    )
    roc_curve: RocCurve | None = Field(default=None, description="only with two labels")
    calibration: Calibration | None = Field(default=None, description="None for numbers")
    predicted_numbers: NumberPairs | None = Field(default=None, description="only for regression")
    rare_labels: list[RareLabel] = Field(
        default_factory=list, description="labels with few training examples, the rarest first"
    )
    slices: list[Slice] = Field(default_factory=list)
    mistakes: list[Example] = Field(
        default_factory=list, description="the most confident wrong answers, or the largest errors"
    )
    confused_pairs: list[ConfusedPair] = Field(default_factory=list)
    entity_errors: list[EntityErrors] = Field(
        default_factory=list, description="one per type of entity"
    )
    sentences: list[MarkedSentence] = Field(
        default_factory=list, description="sentences with mistakes, the most confident first"
    )
    suspected_label_errors: list[Example] = Field(
        default_factory=list,
        description="possible label errors, the most probable first",
    )
    verdict: Verdict | None = Field(
        default=None, description="verdict on the training; None: written before there were any"
    )

    def about(self, name: str) -> str:
        """The label that a metric is about, to follow its name: " of spam"; else empty."""
        if not self.positive_label or name not in POSITIVE_SCORES:
            return ""
        return " of " + " ".join(inert(self.positive_label).split())


def read(path: str | Path) -> Metrics:
    """Read and validate a metrics file."""
    return read_manifest(Path(path), Metrics)


def write(path: str | Path, metrics: Metrics) -> None:
    """Write a metrics file."""
    write_manifest(Path(path), metrics)
