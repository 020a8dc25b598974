"""The report says what the weights did to rare labels, and the verdict leads to weights."""

from __future__ import annotations

import html
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.verdict import Verdict, read_tried, write_tried
from kfp_finetune.components.evaluate.rare_labels import rare_labels
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.token_classification.entity_scores import measure_entities
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES
from kfp_finetune.components.tasks.token_classification.sentences import Sentence
from kfp_finetune.components.tasks.token_classification.tags import iob2_names
from tests.evaluate.inputs import make_inputs

NAMES = ["ham", "news", "spam"]
LABELS = np.repeat([0, 1, 2], [60, 34, 6])
TAGS = iob2_names(NAMES)
TRAIN = pa.table({"label": pa.array(np.repeat([0, 1, 2], [600, 340, 60]), pa.int32())})


def judged(
    found: int, before: Verdict | None = None, train: pa.Table = TRAIN, **loss: Any
) -> tuple[Metrics, str]:
    """A run that finds so many of the six examples of spam, and the text of its report."""
    predicted = LABELS.copy()
    predicted[94 + found :] = 0
    metrics = measure(SINGLE_LABEL, LABELS, 5.0 * np.eye(3)[predicted], NAMES, "test")
    return concluded(metrics, NAMES, before, train, **loss)


def judged_entities(found: int, before: Verdict | None = None, **loss: Any) -> tuple[Metrics, str]:
    """The same of the entities of type spam; a single word is an entity, but ham has two."""
    tags = [tag for i in LABELS for tag in [f"B-{NAMES[i]}", "O" if i else "I-ham"]]
    predicted = [*tags]
    predicted[2 * (94 + found) :: 2] = ["O"] * (6 - found)
    words = [f"word{i}" for i in range(len(tags))]
    sentence = Sentence(0, 0, words, tags, predicted, np.full(len(tags), 0.9), 0.1)
    metrics = measure_entities([sentence], TAGS, "test", set(), with_texts=False)
    ids = [TAGS.index(tag) for tag in tags]
    train = pa.table({"label": pa.array([ids] * 10, pa.list_(pa.int32()))})
    words_of = {"task": "token-classification", "problem_type": ENTITIES}
    return concluded(metrics, TAGS, before, train, **words_of, **loss)


def concluded(
    metrics: Metrics, names: list[str], before: Verdict | None, train: pa.Table, **changes: Any
) -> tuple[Metrics, str]:
    """A run with these metrics and these changes of the manifest, and the text of its report."""
    _, made, log, dataset = make_inputs(names)
    for record in log:  # the loss levels out
        if "validation" in record:
            record["validation"] = {"loss": 0.12, "accuracy": 0.94, "f1": 0.94}
    loss = {name: changes[name] for name in ("class_weights", "focal_gamma") if name in changes}
    own = {"learning_rate": 1e-4} | loss
    model = ModelManifest.model_validate(made.model_dump() | changes | {"parameters": own})
    tried = tuple(read_tried(write_tried(before.as_tried()))) if before else ()
    metrics.rare_labels = rare_labels(metrics, model, train, tried)
    metrics.verdict = judge(Facts(metrics, model, log, tried=tried))
    page = render_report(metrics, model, log, dataset)
    return metrics, " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_a_rare_label_that_is_never_found_leads_to_weights() -> None:
    metrics, text = judged(found=0)
    (label,) = metrics.rare_labels
    assert (label.label, label.train_examples, label.test_examples) == ("spam", 60, 6)
    assert (label.weight, label.recall, label.f1, label.recall_before) == (1, 0, 0, None)
    assert metrics.verdict is not None
    assert metrics.verdict.kind == "healthy"
    assert metrics.verdict.finding.endswith("but 1 rare label has recall 0.")
    assert metrics.verdict.options == {"class_weights": "balanced"}
    assert "--learning-rate 0.0001 --class-weights balanced" in text
    assert "This run did not weight labels." in text


def test_no_weights_are_advised_where_every_label_has_its_own_threshold() -> None:
    has = np.eye(3, dtype=np.float32)[LABELS]
    logits = 10 * has - 5
    logits[:, 2] = -5
    metrics = measure(MULTI_LABEL, has, logits, NAMES, "test")
    train = pa.table({"label": pa.array([[i] for i in LABELS] * 10, pa.list_(pa.int32()))})
    metrics, text = concluded(metrics, NAMES, None, train, problem_type=MULTI_LABEL)
    assert metrics.verdict is not None
    assert metrics.verdict.finding.endswith("but 1 rare label has recall 0.")
    assert (metrics.verdict.advice, metrics.verdict.options) == ("", {})
    assert "Rare labels" in text


def test_the_run_that_follows_shows_what_changed() -> None:
    before = judged(found=0)[0].verdict
    metrics, text = judged(found=3, before=before, class_weights="balanced")
    (label,) = metrics.rare_labels
    assert (label.weight, label.recall, label.recall_before) == (5.5556, 0.5, 0)
    assert (round(label.f1, 3), label.f1_before) == (0.667, 0)
    assert "This run was trained with --class-weights balanced ; the run before" in text
    assert "spam 60 5.556 1.000 0.500 before 0.000 0.667 before 0.000" in text
    assert metrics.verdict is not None
    assert metrics.verdict.options == {}


def test_weights_that_were_tried_are_not_advised_again() -> None:
    first = judged(found=0)[0].verdict
    second, text = judged(found=0, before=first, class_weights="balanced", focal_gamma=2.0)
    assert "trained with --class-weights balanced and --focal-gamma 2" in text
    third, _ = judged(found=0, before=second.verdict)
    for metrics in (second, third):
        assert metrics.verdict is not None
        assert metrics.verdict.options == {}


def test_a_rare_entity_type_is_counted_by_its_entities() -> None:
    metrics, text = judged_entities(found=0)
    (label,) = metrics.rare_labels
    assert (label.label, label.train_examples, label.test_examples) == ("spam", 60, 6)
    assert (TAGS[label.id], label.weight, label.recall) == ("B-spam", 1, 0)
    first = metrics.verdict
    assert first is not None
    assert first.finding.endswith("but 1 rare entity type has recall 0.")
    assert first.advice == "Weight rare entity types: --class-weights balanced."
    assert "Entity types with fewer than half as many training entities as entity types" in text
    assert "This run did not weight entity types." in text

    metrics, text = judged_entities(found=3, before=first, class_weights="balanced")
    (label,) = metrics.rare_labels
    # Five tags occur: O, three that begin an entity, and I-ham.
    assert label.weight == pytest.approx(2000 / (5 * 60), abs=1e-4)
    assert (label.recall, label.recall_before, label.f1_before) == (0.5, 0, 0)
    assert "Rare entity types" in text and "The weight is that of the type's B- tag." in text
    assert "spam 60 6.667 1.000 0.500 before 0.000 0.667 before 0.000" in text
    assert metrics.verdict is not None and metrics.verdict.options == {}


def test_no_weight_is_advised_for_a_label_without_training_examples() -> None:
    train = pa.table({"label": pa.array(np.repeat([0, 1], [600, 340]), pa.int32())})
    metrics, _ = judged(found=0, train=train)
    assert [label.train_examples for label in metrics.rare_labels] == [0]
    assert metrics.verdict is not None and metrics.verdict.options == {}


def test_without_weights_and_without_lost_labels_there_is_no_section() -> None:
    metrics, text = judged(found=3)
    assert metrics.rare_labels and "Rare labels" not in text
    assert metrics.verdict is not None and metrics.verdict.options == {}


def test_on_other_data_there_are_no_training_rows_to_count() -> None:
    assert judged(found=0, train=TRAIN.slice(0, 0))[0].rare_labels == []
