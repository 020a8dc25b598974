"""What the page says first, and the curve it follows training by: the part per problem type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.evaluate.metric_table import amount_text
from kfp_finetune.components.pages.page import count_text, number_text, percent_text
from kfp_finetune.components.tasks.problem_types import (
    ENTITIES,
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    TAGS,
)

_CONSTANT = "The model does no better than a constant answer:"


@dataclass(frozen=True)
class Headline:
    """How the numbers of one problem type are told.

    Attributes:
        verdict: The first sentence, in two parts: what matters most, and the rest.
        followed: The metric measured on the validation split while training, as the log names it.
        followed_name: Its name within a sentence.
        text: How a value of it is written.
        axis: How it is written on the axis.
        top: Its largest value; None where it has none.
    """

    verdict: Callable[[Metrics], tuple[str, str]]
    followed: str
    followed_name: str
    text: Callable[[float], str]
    axis: Callable[[float], str]
    top: float | None


def headline(problem_type: str) -> Headline:
    """How the numbers of a problem type are told."""
    return _HEADLINES[problem_type]


def _single_label_verdict(metrics: Metrics) -> tuple[str, str]:
    scores = metrics.metrics
    accuracy, baseline = scores["accuracy"], scores["majority_baseline_accuracy"]
    f1 = f"macro-F1 is {number_text(scores['macro_f1'])}"
    examples = _examples(metrics)
    if accuracy <= baseline:
        return (
            _CONSTANT,
            f"{percent_text(accuracy)} of {examples} are labelled correctly, and"
            f" always giving the most frequent label reaches {percent_text(baseline)};"
            f" {f1}.",
        )
    return (
        f"{percent_text(accuracy)} of {examples} are labelled correctly",
        f"against {percent_text(baseline)} for always giving the most frequent label; {f1}.",
    )


def _multi_label_verdict(metrics: Metrics) -> tuple[str, str]:
    scores = metrics.metrics
    f1, baseline = scores["micro_f1"], scores["constant_baseline_micro_f1"]
    found = f"icro-F1 is {number_text(f1)} on {_examples(metrics)}"
    exact = f"{percent_text(scores['subset_accuracy'])} have exactly the right labels"
    if f1 <= baseline:
        return (
            _CONSTANT,
            f"m{found}, and always giving the same labels reaches {number_text(baseline)};"
            f" {exact}.",
        )
    return (
        f"M{found}",
        f"against {number_text(baseline)} for always giving the same labels; {exact}.",
    )


def _regression_verdict(metrics: Metrics) -> tuple[str, str]:
    scores = metrics.metrics
    error, baseline = scores["mae"], scores["mean_baseline_mae"]
    found = f"redictions are off by {amount_text(error)} on average over {_examples(metrics)}"
    r2 = f"R² is {number_text(scores['r2'])}" if "r2" in scores else "R² is undefined"
    if error >= baseline:
        return (
            _CONSTANT,
            f"p{found}, and always giving the mean is off by {amount_text(baseline)}; {r2}.",
        )
    return f"P{found}", f"against {amount_text(baseline)} for always giving the mean; {r2}."


def _entities_verdict(metrics: Metrics) -> tuple[str, str]:
    scores = metrics.metrics
    f1, entities = scores["f1"], sum(c.support for c in metrics.per_class)
    of = f"{count_text(entities)} entities in {count_text(metrics.num_examples)} {metrics.split}"
    return (
        f"F1 is {number_text(f1)}" if f1 else "The model finds no entity:",
        f"on {of} sentences: {percent_text(scores['recall'])} of them are found, and"
        f" {percent_text(scores['precision'])} of what is found is right; always giving O finds"
        " none.",
    )


def _tags_verdict(metrics: Metrics) -> tuple[str, str]:
    told = {"examples": "words", "labelled": "tagged", "labels": "tags", "label": "tag"}
    words = re.compile(rf"\b({'|'.join(told)})\b")
    strong, rest = _single_label_verdict(metrics)
    return words.sub(lambda m: told[m[0]], strong), words.sub(lambda m: told[m[0]], rest)


def _examples(metrics: Metrics) -> str:
    examples = f"{count_text(metrics.num_examples)} {metrics.split} examples"
    labels = len(metrics.label_names)
    return f"{examples} of {count_text(labels)} labels" if labels else examples


_HEADLINES = {
    SINGLE_LABEL: Headline(
        _single_label_verdict,
        followed="accuracy",
        followed_name="accuracy",
        text=percent_text,
        axis="{:.0%}".format,
        top=1.0,
    ),
    MULTI_LABEL: Headline(
        _multi_label_verdict,
        followed="micro_f1",
        followed_name="micro-F1",
        text=number_text,
        axis="{:g}".format,
        top=1.0,
    ),
    ENTITIES: Headline(
        _entities_verdict,
        followed="f1",
        followed_name="F1",
        text=number_text,
        axis="{:g}".format,
        top=1.0,
    ),
    TAGS: Headline(
        _tags_verdict,
        followed="accuracy",
        followed_name="accuracy",
        text=percent_text,
        axis="{:.0%}".format,
        top=1.0,
    ),
    REGRESSION: Headline(
        _regression_verdict,
        followed="mae",
        followed_name="mean absolute error",
        text=amount_text,
        axis="{:,.6g}".format,
        top=None,
    ),
}
