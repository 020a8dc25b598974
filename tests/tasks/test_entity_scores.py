"""Scores of entities: the same in the graph, in the sums of a tally and by seqeval."""

from __future__ import annotations

import json
import os
import subprocess
import tracemalloc
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from kfp_finetune.components.tasks.token_classification.decoding import entities
from kfp_finetune.components.tasks.token_classification.entity_scores import (
    compare,
    entity_tally,
    measure_entities,
)
from kfp_finetune.components.tasks.token_classification.sentences import Sentence
from kfp_finetune.components.tasks.token_classification.tags import iob2_names
from kfp_finetune.components.tasks.token_classification.word_metrics import EntityF1

NAMES = iob2_names(["org", "person"])
FIELDS = ("correct", "wrong_type", "wrong_boundary", "wrong_both", "missed")


def sentence(tags: list[str], predicted: list[str]) -> Sentence:
    words = [f"word{i}" for i in range(len(tags))]
    return Sentence(0, 0, words, tags, predicted, np.full(len(tags), 0.9), 1.0)


def random_sentences(random: np.random.Generator, count: int) -> list[Sentence]:
    made = []
    for _ in range(count):
        ids = random.integers(len(NAMES), size=random.integers(1, 9))
        said = np.where(random.random(len(ids)) < 0.7, ids, random.integers(len(NAMES)))
        made.append(sentence([NAMES[i] for i in ids], [NAMES[i] for i in said]))
    return made


@pytest.mark.slow
def test_scores_equal_seqeval(tmp_path: Path) -> None:
    python = os.environ.get("TORCH_PYTHON")
    if python is None:
        pytest.skip("TORCH_PYTHON names no Python that has seqeval; .ci/run makes one")
    random = np.random.default_rng(1)
    asked = [random_sentences(random, 6) for _ in range(200)]
    file = tmp_path / "asked.json"
    pairs = [[[s.tags for s in part], [s.predicted for s in part]] for part in asked]
    file.write_text(json.dumps(pairs))
    script = Path(__file__).with_name("seqeval_answers.py")
    done = subprocess.run([python, script, file], capture_output=True, text=True, check=True)
    for part, answer in zip(asked, json.loads(done.stdout), strict=True):
        metrics = measure_entities(part, NAMES, "test", set(), with_texts=True)
        for name in ("precision", "recall"):
            assert metrics.metrics[name] == pytest.approx(answer["micro avg"][name])
        assert metrics.metrics["f1"] == pytest.approx(answer["micro avg"]["f1-score"])
        assert metrics.metrics["macro_f1"] == pytest.approx(answer["macro avg"]["f1-score"])
        for scores in metrics.per_class:
            of_type = answer.get(scores.label, {"support": 0, "f1-score": 0})
            assert (scores.support, scores.f1) == pytest.approx(
                (of_type["support"], of_type["f1-score"])
            )


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_the_training_metric_equals_the_score(average: Literal["micro", "macro"]) -> None:
    """In batches with gaps between the words, and with padding rows."""
    random = np.random.default_rng(2)
    for _ in range(30):
        metric = EntityF1(NAMES, average)
        sentences = random_sentences(random, 12)
        for at in range(0, 12, 4):
            part = sentences[at : at + 4]
            width = max(len(s.words) for s in part) * 2
            labels = np.zeros((5, width), np.int32)
            weights = np.zeros((5, width), np.float32)
            logits = random.normal(size=(5, width, len(NAMES))).astype(np.float32)
            for row, s in enumerate(part):
                places = np.sort(random.choice(width, len(s.words), replace=False))
                labels[row, places] = [NAMES.index(tag) for tag in s.tags]
                logits[row, places, [NAMES.index(tag) for tag in s.predicted]] += 9
                weights[row, places] = 1
            metric.update_state(labels, logits, weights)
        expected = entity_tally(sentences, NAMES).overall()[metric.name]
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_macro_f1_is_the_mean_over_the_types_that_occur_or_are_predicted() -> None:
    """As seqeval's macro average: person 2/3, place 0 (only predicted), org 0 (only in the data).

    The fourth type is absent, and does not lower the mean.
    """
    names = iob2_names(["absent", "org", "person", "place"])
    made = [
        sentence(["B-person", "O", "B-org", "I-org"], ["B-person", "O", "B-person", "I-person"]),
        sentence(["O", "B-org", "O"], ["B-place", "B-place", "I-place"]),
    ]
    metrics = measure_entities(made, names, "test", set(), with_texts=False)
    by_type = {scores.label: (scores.f1, scores.support) for scores in metrics.per_class}
    f1 = pytest.approx(2 * 1 / (1 + 2))
    assert by_type == {"absent": (0, 0), "org": (0, 2), "person": (f1, 1), "place": (0, 0)}
    assert metrics.metrics["macro_f1"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    low, high = metrics.intervals["macro_f1"]
    assert 0 <= low <= metrics.metrics["macro_f1"] <= high
    outside = entity_tally([sentence(["O"], ["O"])], names).overall()
    assert outside["macro_f1"] == 0


def test_only_words_are_scored_where_no_tag_marks_entities() -> None:
    """The mean F1 of the tags is scikit-learn's."""
    names, random = ["NOUN", "VERB", "ADJ", "NUM"], np.random.default_rng(3)
    tags, given_tags = (random.choice(names[:3], (20, 6)).tolist() for _ in range(2))
    made = [sentence(true, given) for true, given in zip(tags, given_tags, strict=True)]
    flat = np.ravel(tags), np.ravel(given_tags)
    assert entity_tally(made, names).overall() == {
        "macro_f1": pytest.approx(f1_score(*flat, average="macro")),
        "accuracy": pytest.approx(accuracy_score(*flat)),
        "loss": pytest.approx(1 / 6),
    }


TAGS = st.lists(st.sampled_from(NAMES), min_size=6, max_size=6)


@settings(max_examples=200)
@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=4))
def test_every_entity_has_one_outcome(pairs: list[tuple[list[str], list[str]]]) -> None:
    sentences = [sentence(*pair) for pair in pairs]
    metrics = measure_entities(sentences, NAMES, "test", set(), with_texts=True)
    true = sum(len(entities(s.tags)) for s in sentences)
    given_ = sum(len(entities(s.predicted)) for s in sentences)
    of = metrics.entity_errors
    assert sum(getattr(errors, field) for errors in of for field in FIELDS) == true
    assert sum(errors.predicted for errors in of) == given_
    assert sum(s.support for s in metrics.per_class) == true
    alone = sum(
        not any(a[0] < t[1] and t[0] < a[1] for t in entities(s.tags))
        for s in sentences
        for a in entities(s.predicted)
    )
    assert sum(errors.spurious for errors in of) == alone
    assert metrics.metrics["f1"] == pytest.approx(
        2 * sum(errors.correct for errors in of) / max(true + given_, 1)
    )
    assert np.sum(metrics.confusion_matrix) == sum(len(s.words) for s in sentences)


@pytest.mark.parametrize(
    ("predicted", "kind"),
    [
        ((1, 3, "person"), "correct"),
        ((1, 3, "org"), "wrong_type"),
        ((1, 2, "person"), "wrong_boundary"),
        ((0, 5, "person"), "wrong_boundary"),
        ((2, 4, "org"), "wrong_both"),
        ((3, 4, "person"), "missed"),
    ],
)
def test_the_outcome_of_an_entity(predicted: tuple[int, int, str], kind: str) -> None:
    spans = compare([(1, 3, "person")], [predicted])
    assert [span.kind for span in spans if span.label] == [kind]
    assert [span.kind for span in spans if not span.label] == ["spurious"] * (kind == "missed")


def test_recall_of_entities_unseen_in_training() -> None:
    tags = ["B-person", "I-person", "O", "B-org"]
    found = sentence(tags, ["B-person", "I-person", "O", "O"])
    metrics = measure_entities([found], NAMES, "test", {("word3", "org")}, with_texts=True)
    assert (metrics.metrics["seen_recall"], metrics.metrics["unseen_recall"]) == (0, 1)
    nothing_known = measure_entities([found], NAMES, "test", set(), with_texts=True)
    assert "unseen_recall" not in nothing_known.metrics


def test_texts_are_omitted_on_request() -> None:
    wrong = sentence(["B-org"], ["O"])
    assert measure_entities([wrong], NAMES, "test", set(), with_texts=True).sentences
    assert not measure_entities([wrong], NAMES, "test", set(), with_texts=False).sentences


def test_thousands_of_tags_take_no_more_memory_than_words() -> None:
    """Tags of morphology: a table of all sentences by all tags would be 48 MB."""
    names = [f"Case={i}" for i in range(2000)]
    made = [sentence([names[2 * i]], [names[2 * i + i % 2]]) for i in range(1000)]
    tracemalloc.start()
    tally = entity_tally(made, names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    # Half of the words are right; the others make two tags each with an F1 of 0.
    assert tally.overall() == {
        "macro_f1": pytest.approx(1 / 3),
        "accuracy": pytest.approx(0.5),
        "loss": pytest.approx(1.0),
    }
