"""Predict the entities or tags of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from kfp_finetune.components.tasks.predictions import Span
from kfp_finetune.components.tasks.token_classification.decoding import best_tags, entities
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES
from kfp_finetune.components.tasks.token_classification.words import words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kfp_finetune.components.artifacts.model import ModelManifest


def spans_of(
    text: str | list[str], logits: NDArray[np.float32], model: ModelManifest, temperature: float
) -> tuple[Span, ...]:
    """The entities of a text, or its words with their tags; arguments as in `Task.answer`."""
    words, starts, whole = words_of(text)
    given = best_tags(logits, model.label_names)
    scores = softmax(logits.astype(np.float64) / temperature, axis=1)
    confidence = scores[np.arange(len(words)), given]
    tags = [model.label_names[i] for i in given]
    found = [(i, i + 1, tag) for i, tag in enumerate(tags)]
    if model.problem_type == ENTITIES:
        found = entities(tags)
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    return tuple(
        Span(
            label=label,
            text=whole[starts[first] : ends[stop - 1]],
            start=starts[first],
            end=ends[stop - 1],
            probability=float(confidence[first:stop].min()),
        )
        for first, stop, label in found
    )
