"""The report on tagged words: entity outcomes, and sentences with predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.evaluate.confusion import confusion_matrices
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.tasks.token_classification.entity_scores import measure_entities
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, TAGS
from kfp_finetune.components.tasks.token_classification.sentences import Sentence
from kfp_finetune.components.tasks.token_classification.tags import iob2_names
from tests.evaluate.browser import Chromium
from tests.evaluate.inputs import make_inputs
from tests.evaluate.outline import HOSTILE, Outline

NAMES = iob2_names(["person", f"place {HOSTILE}"])


def rendered(metrics: Metrics, problem_type: str, names: list[str]) -> str:
    _, model, log, data = make_inputs(names, steps_per_epoch=20)
    words: dict[str, Any] = {"task": "token-classification", "problem_type": problem_type}
    for record in log:
        if "validation" in record:
            record["validation"]["f1"] = 0.5
    return render_report(
        metrics, model.model_copy(update=words), log, data.model_copy(update=words)
    )


def sentences() -> list[Sentence]:
    words = ["Ada", HOSTILE, "in", "London", "Bridge", "today"]
    tags = ["B-person", "I-person", "O", NAMES[3], NAMES[4], "O"]
    predicted = [
        tags,
        ["B-person", "O", "O", NAMES[3], NAMES[4], "B-person"],
        ["O", "O", "O", "B-person", "I-person", "O"],
        ["O", NAMES[3], "O", "O", "B-person", "O"],
    ]
    return [
        Sentence(i, i, words, tags, given, np.full(6, 0.9), 1.0)
        for i, given in enumerate(predicted)
    ]


@pytest.fixture(scope="module")
def page() -> str:
    known = {(f"Ada {HOSTILE}", "person")}
    return rendered(
        measure_entities(sentences(), NAMES, "test", known, with_texts=True), ENTITIES, NAMES
    )


def test_every_tag_is_closed_and_no_text_is_markup(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert "<b>bold</b>" not in page and 'alert("x")' not in page
    assert outline.sections == [
        "verdict", "metrics", "curves", "confusion", "classes", "sentences", "data", "reproduce",
    ]  # fmt: skip
    assert outline.addresses == ["data:,"]


def test_the_page_shows_entity_outcomes(page: str) -> None:
    text = Outline(page).text
    assert "F1 is 0.375" in text and "8 entities in 4 test sentences" in text
    assert "Of the entities seen in training, 25.0% were found." in text
    for shown in ("missed", "→ person", "Ada"):
        assert shown in text
    for kind in ("correct", "wrong_type", "wrong_boundary", "wrong_both", "missed", "spurious"):
        assert f'<mark class="{kind}">' in page


def test_the_verdict_on_tags() -> None:
    metrics = make_inputs(["NOUN", "VERB", "X"], steps_per_epoch=20)[0]
    metrics.mistakes, metrics.confused_pairs = [], []
    text = Outline(rendered(metrics, TAGS, ["NOUN", "VERB", "X"])).text
    assert "test words of 3 tags are tagged correctly" in text
    assert "always predicting the most frequent tag" in text


def test_kubeflow_gets_the_confusion_matrix_of_tags() -> None:
    metrics = measure_entities(sentences(), NAMES, "test", set(), with_texts=False)
    ((names, matrix),) = confusion_matrices(metrics)
    assert names == NAMES and np.sum(matrix) == 24
    assert not metrics.sentences


@pytest.mark.parametrize("dark", [False, True])
def test_the_marks_can_be_read_on_a_phone(
    chromium: Chromium, tmp_path: Path, page: str, dark: bool
) -> None:
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    chromium.show(file, 390, dark=dark)
    assert "missed" in chromium.run("document.querySelector('mark.missed').innerText")
    names = chromium.run("[...document.querySelectorAll('.pairs p')].map(p => p.innerText)")
    assert any("B-person" in line and "1, " in line for line in names)
    assert chromium.cut() == []
    assert chromium.pale() == []
