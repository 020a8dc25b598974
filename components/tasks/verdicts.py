"""Parts of the verdict that several problem types share."""

from __future__ import annotations

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.number_text import count_text, number_text, percent_text

CONSTANT = "The model does no better than a constant answer:"


def accuracy_verdict(metrics: Metrics, *, unit: str, labelled: str, label: str) -> tuple[str, str]:
    """The verdict if each unit has one label.

    Args:
        metrics: Of the split.
        unit: The unit that has a label, in the plural.
        labelled: The verb for a unit with a label.
        label: The word for a label.
    """
    scores = metrics.metrics
    accuracy, baseline = scores["accuracy"], scores["majority_baseline_accuracy"]
    counted = examples_text(metrics, unit=unit, label=label)
    f1 = f"macro-F1 is {number_text(scores['macro_f1'])}"
    if accuracy <= baseline:
        return (
            CONSTANT,
            f"{percent_text(accuracy)} of {counted} are {labelled} correctly, and always"
            f" predicting the most frequent {label} reaches {percent_text(baseline)}; {f1}.",
        )
    return (
        f"{percent_text(accuracy)} of {counted} are {labelled} correctly",
        f"against {percent_text(baseline)} for always predicting the most frequent {label}; {f1}.",
    )


def examples_text(metrics: Metrics, *, unit: str = "examples", label: str = "label") -> str:
    """The number of examples and of labels: "300 test examples of 4 labels"."""
    examples = f"{count_text(metrics.num_examples)} {metrics.split} {unit}"
    labels = len(metrics.label_names)
    return f"{examples} of {count_text(labels)} {label}s" if labels else examples
