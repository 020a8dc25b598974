"""The result of an evaluation beside a constant answer, and what several problem types share."""

from __future__ import annotations

from dataclasses import dataclass

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER, Metrics
from kfp_finetune.components.number_text import count_text, number_text, percent_text

CONSTANT = "The model does no better than a constant answer:"
# A loss that is lower by less than this share is no better.
LOWER_LOSS = 0.02
# A new head on a pretrained model is correlated with two labels by chance, up to here.
_CORRELATION_OF_CHANCE = 0.2


@dataclass(frozen=True)
class Result:
    """The result of an evaluation, in two parts of a sentence.

    Attributes:
        learned: Whether the score is better than that of a constant answer, beyond noise.
        strong: The result.
        rest: The details.
    """

    learned: bool
    strong: str
    rest: str


def beats(metrics: Metrics, name: str, constant: float) -> bool:
    """Return True if a score is better than a constant answer's: its whole interval is.

    Args:
        metrics: The metrics of the split.
        name: The metric; one that was not measured is not better.
        constant: The value that a constant answer reaches.
    """
    if name not in metrics.metrics:
        return False
    value = metrics.metrics[name]
    low, high = metrics.intervals.get(name, (value, value))
    if name == "loss":
        constant *= 1 - LOWER_LOSS
    return high < constant if name in LESS_IS_BETTER else low > constant


def beats_baseline(metrics: Metrics, *names: str) -> bool:
    """Return True if one of these scores is better than the constant-answer baseline's."""
    return any(
        name in metrics.baseline and beats(metrics, name, metrics.baseline[name]) for name in names
    )


def accuracy_result(metrics: Metrics, *, unit: str, labelled: str, label: str) -> Result:
    """The result if each unit has one label.

    A model whose loss is below that of the label frequencies has learned something even if it
    always answers with the most frequent label, and so has one that is correlated with the labels.

    Args:
        metrics: The metrics of the split.
        unit: The unit that has a label, in the plural.
        labelled: The verb for a unit with a label.
        label: The word for a label.
    """
    scores = metrics.metrics
    accuracy, baseline = scores["accuracy"], scores["majority_baseline_accuracy"]
    learned = beats_baseline(metrics, "accuracy", "loss") or beats(
        metrics, "matthews_correlation", _CORRELATION_OF_CHANCE
    )
    counted = examples_text(metrics, unit=unit, label=label)
    f1 = f"macro-F1 is {number_text(scores['macro_f1'])}"
    if metrics.positive_label:
        f1 += f", and F1 of {metrics.positive_label} is {number_text(scores['f1'])}"
    if not learned:
        return Result(
            learned,
            CONSTANT,
            f"{percent_text(accuracy)} of {counted} are {labelled} correctly, and always"
            f" predicting the most frequent {label} reaches {percent_text(baseline)}; {f1}.",
        )
    return Result(
        learned,
        f"{percent_text(accuracy)} of {counted} are {labelled} correctly",
        f"against {percent_text(baseline)} for always predicting the most frequent {label}; {f1}.",
    )


def examples_text(metrics: Metrics, *, unit: str = "examples", label: str = "label") -> str:
    """The number of examples and of labels: "300 test examples of 4 labels"."""
    examples = f"{count_text(metrics.num_examples)} {metrics.split} {unit}"
    labels = len(metrics.label_names)
    return f"{examples} of {count_text(labels)} {label}s" if labels else examples
