"""Measure tagged words: scores, slices and sentences worth reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kfp_finetune.components.artifacts.metrics import MarkedSentence, MarkedSpan, Metrics
from kfp_finetune.components.artifacts.tokenized_dataset import slice_name
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.scores.single_label import single_label
from kfp_finetune.components.tasks.scores.slices import by_column, by_length
from kfp_finetune.components.tasks.token_classification.entity_scores import (
    MOST_SENTENCES,
    entity_tally,
    measure_entities,
)
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES
from kfp_finetune.components.tasks.token_classification.sentences import (
    Sentence,
    known_entities,
    tagged_sentences,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from kfp_finetune.components.artifacts.model import ModelManifest
    from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
    from kfp_finetune.components.tasks.predictions import Predictions


def score(
    predictions: Predictions,
    train: pa.Table,
    model: ModelManifest,
    data: TokenizedDatasetManifest,
    split: str,
    *,
    with_texts: bool,
) -> Metrics:
    """Measure a split; arguments as in `Task.score`.

    Raises:
        InputError: If a logit is not finite.
    """
    if not np.isfinite(predictions.logits).all():
        raise InputError(
            "the model's outputs are not finite",
            where=f"the {split} split",
            expected="finite numbers; NaN or infinite ones mean that training diverged",
            remedy="train again with a lower --learning-rate",
        )
    names = model.label_names
    sentences = tagged_sentences(predictions, names, model.temperature)
    if model.problem_type == ENTITIES:
        known = known_entities(train, names)
        metrics = measure_entities(sentences, names, split, known, with_texts=with_texts)
    else:
        metrics = single_label(
            predictions.labels,
            predictions.logits.astype(np.float64),
            names,
            split,
            model.temperature,
        )
        metrics.sentences = _wrongly_tagged(sentences) if with_texts else []
    firsts = [sentence.example for sentence in sentences]
    scored = entity_tally(sentences, names)
    slices = by_length(scored, predictions.lengths[firsts], data.max_length)
    for column in data.slice_columns:
        values = predictions.table[slice_name(column)].take(firsts).to_pylist()
        slices += by_column(scored, column, values)
    return metrics.model_copy(update={"slices": slices})


def _wrongly_tagged(sentences: list[Sentence]) -> list[MarkedSentence]:
    """The sentences with the most confident wrong tags."""
    found = []
    for s in sentences:
        pairs = zip(s.tags, s.predicted, strict=True)
        wrong = [i for i, (tag, given) in enumerate(pairs) if tag != given]
        if wrong:
            found.append((max(s.confidence[i] for i in wrong), s, wrong))
    found.sort(key=lambda one: -one[0])
    return [
        MarkedSentence(
            row=s.row + 1,
            words=s.words,
            spans=[
                MarkedSpan(
                    start=i,
                    stop=i + 1,
                    label=s.tags[i],
                    predicted=s.predicted[i],
                    kind="wrong_type",
                )
                for i in wrong
            ],
        )
        for _, s, wrong in found[:MOST_SENTENCES]
    ]
