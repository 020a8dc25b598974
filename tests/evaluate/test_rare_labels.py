"""The report says what the weights did to rare labels, and the verdict leads to weights."""

from __future__ import annotations

import html
import re
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.verdict import Verdict, read_tried, write_tried
from kfp_finetune.components.evaluate.rare_labels import rare_labels
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.problem_types import SINGLE_LABEL
from tests.evaluate.inputs import make_inputs

NAMES = ["ham", "news", "spam"]
LABELS = np.repeat([0, 1, 2], [60, 34, 6])
TRAIN = pa.table({"label": pa.array(np.repeat([0, 1, 2], [600, 340, 60]), pa.int32())})


def judged(
    found: int, before: Verdict | None = None, train: pa.Table = TRAIN, **loss: Any
) -> tuple[Metrics, str]:
    """A run that finds so many of the six examples of spam, and the text of its report."""
    predicted = LABELS.copy()
    predicted[94 + found :] = 0
    metrics = measure(SINGLE_LABEL, LABELS, 5.0 * np.eye(3)[predicted], NAMES, "test")
    _, made, log, dataset = make_inputs(NAMES)
    for record in log:  # the loss levels out
        if "validation" in record:
            record["validation"] = {"loss": 0.12, "accuracy": 0.94}
    own = {"learning_rate": 1e-4} | loss
    model = ModelManifest.model_validate(made.model_dump() | loss | {"parameters": own})
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


def test_without_weights_and_without_lost_labels_there_is_no_section() -> None:
    metrics, text = judged(found=3)
    assert metrics.rare_labels and "Rare labels" not in text
    assert metrics.verdict is not None and metrics.verdict.options == {}


def test_on_other_data_there_are_no_training_rows_to_count() -> None:
    assert judged(found=0, train=TRAIN.slice(0, 0))[0].rare_labels == []
