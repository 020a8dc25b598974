"""Rare labels and entity types: their weights, their scores, and how an earlier run scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts.metrics import Metrics, RareLabel
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.repeating import as_options
from kfp_finetune.components.tasks.loss_parameters import LossParameters
from kfp_finetune.components.tasks.registry import get_problem_type, get_task

if TYPE_CHECKING:
    import pyarrow as pa

# Of the training examples that a label has on average.
_RARE = 0.5
_MOST = 10


def rare_labels(
    metrics: Metrics, model: ModelManifest, train: pa.Table, tried: Sequence[Tried]
) -> list[RareLabel]:
    """The rare labels or entity types of the test split, the rarest first.

    A label is rare if it has fewer than half as many training examples as labels have on average.
    The training examples of an entity type are the words with its B- tag.

    Args:
        metrics: The scores of the test split.
        model: The model's manifest.
        train: The training split; may be empty.
        tried: The runs that this one repeats with changes, the first one first.

    Returns:
        At most ten; none for numbers, or without a training split.
    """
    names = model.label_names
    class_of = get_problem_type(model.problem_type).class_of
    by_class = {scores.label: scores for scores in metrics.per_class}
    classes = {i: by_class[own] for i, name in enumerate(names) if (own := class_of(name))}
    if not train.num_rows or not classes:
        return []
    task = get_task(model.task)
    targets = task.targets(train["label"], model.problem_type, names)
    counts, weights = task.counts_and_weights(
        model.problem_type, model.class_weights, targets, names
    )
    last = _before(LossParameters.of(vars(model)).weighting, tried)
    scored = {label.id: label for label in last.rare_labels} if last else {}
    found = []
    few = _RARE * counts[list(classes)].mean()
    for i, scores in sorted(classes.items(), key=lambda item: counts[item[0]]):
        if counts[i] >= few or not scores.support:
            continue
        found.append(
            RareLabel(
                id=i,
                label=scores.label,
                train_examples=int(counts[i]),
                test_examples=scores.support,
                weight=round(float(weights[i]), 4),
                precision=scores.precision,
                recall=scores.recall,
                f1=scores.f1,
                recall_before=scored[i].recall if i in scored else None,
                f1_before=scored[i].f1 if i in scored else None,
            )
        )
    return found[:_MOST]


def _before(own: Mapping[str, Any], tried: Sequence[Tried]) -> Tried | None:
    """The last run before this one with other weights than its own; None without one."""
    return next((run for run in reversed(tried) if run.rare_labels and run.weighting != own), None)


def rare_labels_section(metrics: Metrics) -> dict[str, Any] | None:
    """The content of the report's section.

    Args:
        metrics: The metrics of the split, with rare labels and the verdict.

    Returns:
        The labels, the weights of this run and of the run before as options (None without one),
        and whether labels have different weights. None unless this run or the one before weighted
        labels, or a rare label has recall 0.
    """
    labels, verdict = metrics.rare_labels, metrics.verdict
    if not labels or verdict is None:
        return None
    own = verdict.weighting
    last = _before(own, verdict.tried)
    if not (own or last or any(label.recall == 0 for label in labels)):
        return None
    return {
        "labels": labels,
        "weighting": as_options(own),
        "before": as_options(last.weighting) if last else None,
        "weighted": "class_weights" in own,
    }
