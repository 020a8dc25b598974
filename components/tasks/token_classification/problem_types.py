"""The problem types of token classification: tags that mark entities, and tags of words."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.number_text import count_text, number_text, percent_text
from kfp_finetune.components.tasks.problem_type import ProblemType
from kfp_finetune.components.tasks.results import (
    Result,
    accuracy_result,
    beats,
    beats_baseline,
)
from kfp_finetune.components.tasks.token_classification.tags import OUTSIDE

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.predictions import Prediction

ENTITIES = "entity_recognition"
TAGS = "word_tagging"
# A new head that takes most words for an entity finds some by chance: F1 up to this.
_F1_OF_CHANCE = 0.2
_CARD_LIMIT = "It always assigns one of these tags to every word, whatever the text."


def _entities_result(metrics: Metrics) -> Result:
    scores = metrics.metrics
    f1, entities = scores["f1"], sum(c.support for c in metrics.per_class)
    of = f"{count_text(entities)} entities in {count_text(metrics.num_examples)} {metrics.split}"
    return Result(
        beats(metrics, "f1", _F1_OF_CHANCE)
        or (beats(metrics, "f1", 0.0) and beats_baseline(metrics, "accuracy", "loss")),
        f"F1 is {number_text(f1)}" if f1 else "The model finds no entity:",
        f"on {of} sentences: {percent_text(scores['recall'])} of the entities are found, and"
        f" {percent_text(scores['precision'])} of the predicted ones are correct; always"
        f" predicting {OUTSIDE} finds none.",
    )


def _tags_result(metrics: Metrics) -> Result:
    return accuracy_result(metrics, unit="words", labelled="tagged", label="tag")


def _spans(prediction: Prediction) -> list[dict[str, Any]]:
    """Each span with its label, text, first character, the one after its last, and probability."""
    spans = prediction.spans or ()
    return [asdict(s) | {"probability": round(s.probability, 6)} for s in spans]


def _span_lines(spans: list[dict[str, Any]]) -> list[tuple[float | None, str]]:
    width = max((len(span["label"]) for span in spans), default=0)
    return [(span["probability"], f"{span['label']:<{width}}  {span['text']}") for span in spans]


def _entities_record(prediction: Prediction, _top_k: int | None) -> dict[str, Any]:
    return {"entities": _spans(prediction)}


def _entity_lines(record: dict[str, Any]) -> list[tuple[float | None, str]]:
    return _span_lines(record["entities"]) or [(None, "no entity")]


def _words_record(prediction: Prediction, _top_k: int | None) -> dict[str, Any]:
    return {"words": _spans(prediction)}


def _word_lines(record: dict[str, Any]) -> list[tuple[float | None, str]]:
    return _span_lines(record["words"])


PROBLEM_TYPES = (
    ProblemType(
        name=ENTITIES,
        training_metrics=("f1", "accuracy", "macro_f1"),
        activation="softmax",
        metric_name="F1",
        metric_text=number_text,
        axis_text="{:g}".format,
        result=_entities_result,
        tiles=("f1", "precision", "recall", "unseen_recall", "macro_f1", "accuracy"),
        slice_metrics=("f1", "precision", "recall"),
        metric_names={"accuracy": "Accuracy of words"},
        class_name="entity type",
        class_unit="Entities",
        label_kind="tags of entities, as IOB2",
        background=OUTSIDE,
        # A type has as many entities as tags that begin one.
        class_of=lambda tag: tag[2:] if tag.startswith("B-") else None,
        card="finds entities in a text by assigning one of {} tags to every word",
        card_limit=_CARD_LIMIT,
        record=_entities_record,
        lines=_entity_lines,
        no_top_k="tags of words",
    ),
    ProblemType(
        name=TAGS,
        training_metrics=("accuracy", "macro_f1"),
        activation="softmax",
        metric_name="accuracy",
        metric_text=percent_text,
        axis_text="{:.0%}".format,
        result=_tags_result,
        tiles=("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "ece", "loss"),
        slice_metrics=("accuracy", "loss"),
        label_kind="one tag per word",
        background=OUTSIDE,
        card="assigns one of {} tags to every word of a text",
        card_limit=_CARD_LIMIT,
        record=_words_record,
        lines=_word_lines,
        no_top_k="tags of words",
    ),
)
