"""Slices of a split, and its mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kfp_finetune.components.artifacts.metrics import Slice
from kfp_finetune.components.artifacts.tokenized_dataset import slice_name
from kfp_finetune.components.tasks.predictions import Predictions
from kfp_finetune.components.tasks.scores.slices import MOST_VALUES
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.mistakes import MOST_EXAMPLES, find_mistakes
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.text_classification.slices import score_slices
from tests.evaluate.inputs import make_inputs, names_of

TYPES = [(SINGLE_LABEL, 6), (MULTI_LABEL, 6), (REGRESSION, 0)]


def by(slices: list[Slice], what: str) -> dict[str, Slice]:
    return {part.value: part for part in slices if part.by == what}


def of_one_label(count: int = 900, columns: dict[str, Any] | None = None) -> Any:
    """Confident and correct predictions of 3 labels, and their manifest."""
    random = np.random.default_rng(3)
    labels = np.arange(count) % 3
    logits = (4 * np.eye(3)[labels] + random.normal(size=(count, 3))).astype(np.float32)
    table = pa.table(
        {
            "row": np.arange(count) + 1000,
            "text": [f"text {i}" for i in range(count)],
            **{slice_name(n): v for n, v in (columns or {}).items()},
        }
    )
    model = make_inputs(names_of(3))[1]
    return Predictions(table, labels, logits, np.arange(count) % 20 + 1), model


@pytest.mark.parametrize(("problem_type", "labels"), TYPES)
def test_each_grouping_has_every_example_once(problem_type: str, labels: int) -> None:
    metrics = make_inputs(names_of(labels), problem_type=problem_type)[0]
    kinds = ("tokens", "channel", *(() if problem_type == MULTI_LABEL else ("label",)))
    for kind in kinds:
        parts = by(metrics.slices, kind).values()
        assert sum(part.num_examples for part in parts) == metrics.num_examples
        mean = sum(part.metrics["loss"] * part.num_examples for part in parts)
        assert mean / metrics.num_examples == pytest.approx(metrics.metrics["loss"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("predicted", [3.0, 3 + 4e-16 * np.arange(40.0), np.arange(40.0)])
def test_numbers_are_scored_without_a_warning(predicted: Any) -> None:
    labels = np.linspace(1, 5, 40)[:, np.newaxis]
    logits = np.broadcast_to(predicted, 40)[:, np.newaxis]
    lengths = np.where(np.arange(40) < 20, 4, 120)  # none between 8 and 64 tokens
    predictions = Predictions(pa.table({"row": np.arange(40)}), labels, logits, lengths)
    model = make_inputs([], problem_type=REGRESSION)[1]
    slices = score_slices(predictions, model, [], 128)
    assert [part.num_examples for part in by(slices, "tokens").values()] == [20, 20]
    metrics = measure(REGRESSION, labels, logits, [], "test").metrics
    assert ("pearson" in metrics) == (np.ptp(logits) > 1e-9)


def test_slices_by_label_are_the_recalls_and_the_labels_f1() -> None:
    metrics = make_inputs(names_of(6))[0]
    for row in metrics.per_class:
        assert by(metrics.slices, "label")[row.label].metrics["accuracy"] == pytest.approx(
            row.recall
        )
    several = make_inputs(names_of(6), problem_type=MULTI_LABEL)[0]
    for row in several.per_class:
        assert by(several.slices, "label")[row.label].num_examples == row.support


def test_lengths_are_grouped_by_powers_of_two_and_the_longest_stand_alone() -> None:
    predictions, model = of_one_label()
    parts = by(score_slices(predictions, model, [], 20), "tokens")
    sizes = {name: part.num_examples for name, part in parts.items()}
    assert sizes == {"1 to 8": 360, "9 to 16": 360, "17 to 19": 135, "20 (the maximum)": 45}


def test_the_rarest_of_many_values_share_a_slice() -> None:
    values = [f"value {i % 30}" for i in range(900)]
    values[:100] = [None] * 100
    predictions, model = of_one_label(columns={"c": values})
    parts = by(score_slices(predictions, model, ["c"], 20), "c")
    assert next(iter(parts)) == "(empty)"
    assert len(parts) == MOST_VALUES + 1
    assert list(parts)[-1] == "11 rarer values"


def test_label_errors_are_found() -> None:
    predictions, model = of_one_label()
    flipped = np.random.default_rng(0).choice(900, MOST_EXAMPLES, replace=False)
    labels = predictions.labels.copy()
    labels[flipped] = (labels[flipped] + 1) % 3
    wrong = Predictions(predictions.table, labels, predictions.logits, predictions.lengths)
    found = find_mistakes(wrong, model, with_texts=True)["suspected_label_errors"]
    rows = {example.row - 1001 for example in found}
    # About half of them pass: those of which the model is surer than of the average example.
    assert len(rows) >= 0.4 * MOST_EXAMPLES
    assert len(rows & set(flipped.tolist())) >= 0.9 * len(rows)
    # Nothing is suspected that the model agrees with.
    right = set(np.flatnonzero(predictions.logits.argmax(axis=1) == labels).tolist())
    assert not rows & right


def test_mistakes_are_ordered_by_confidence_and_have_their_text() -> None:
    predictions, model = of_one_label(3000)
    found = find_mistakes(predictions, model, with_texts=True)
    confidences = [example.confidence for example in found["mistakes"]]
    assert confidences == sorted(confidences, reverse=True)
    for example in found["mistakes"]:
        i = example.row - 1001
        assert example.text == f"text {i}"
        assert example.label == model.label_names[predictions.labels[i]] != example.predicted
    pairs = found["confused_pairs"]
    wrong = (predictions.logits.argmax(axis=1) != predictions.labels).sum()
    assert sum(pair.count for pair in pairs) == wrong
    assert [p.count for p in pairs] == sorted((p.count for p in pairs), reverse=True)


def test_a_multi_label_mistake_names_its_most_confident_label() -> None:
    metrics = make_inputs(names_of(6), problem_type=MULTI_LABEL)[0]
    for example in metrics.mistakes:
        true, given = (set(text.split(", ")) for text in (example.label, example.predicted))
        assert example.about in true ^ given
        assert example.confidence is not None and 0 < example.confidence < 1


def test_the_largest_errors_of_numbers_are_shown() -> None:
    metrics = make_inputs([], problem_type=REGRESSION)[0]
    errors = [abs(float(e.label) - float(e.predicted)) for e in metrics.mistakes]
    assert errors == pytest.approx(sorted(errors, reverse=True), abs=1e-3)  # as they are written
    assert len(errors) == MOST_EXAMPLES
    assert metrics.suspected_label_errors == []


def test_perfect_predictions_have_no_mistakes() -> None:
    predictions, model = of_one_label()
    sure = Predictions(
        predictions.table,
        predictions.labels,
        9 * np.eye(3)[predictions.labels],
        predictions.lengths,
    )
    found = find_mistakes(sure, model, with_texts=True)
    assert found == {"mistakes": [], "confused_pairs": [], "suspected_label_errors": []}
