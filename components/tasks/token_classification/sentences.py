"""Sentences with their true and predicted tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_softmax, softmax

from kfp_finetune.components.tasks.token_classification.decoding import best_tags, entities

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from kfp_finetune.components.tasks.predictions import Predictions


@dataclass(frozen=True)
class Sentence:
    """One sentence, joined from its examples.

    Attributes:
        example: Number of its first example in the split.
        row: Its number in its source, from 0.
        words: Its words.
        tags: The tags of the data.
        predicted: The predicted tags.
        confidence: The probability of each predicted tag.
        loss: The sum of the words' cross-entropies, in nats.
    """

    example: int
    row: int
    words: list[str]
    tags: list[str]
    predicted: list[str]
    confidence: NDArray[np.float64]
    loss: float


def tagged_sentences(
    predictions: Predictions, label_names: Sequence[str], temperature: float
) -> list[Sentence]:
    """Join the examples of a split to sentences.

    Args:
        predictions: Predictions for the split.
        label_names: The name of label i is `label_names[i]`.
        temperature: Logits are divided by it before softmax.
    """
    logits = predictions.logits.astype(np.float64)
    likelihoods = log_softmax(logits, axis=1)
    losses = -likelihoods[np.arange(len(logits)), predictions.labels]
    probabilities = softmax(logits / temperature, axis=1)
    names = list(label_names)
    found = []
    start = 0
    for example, row, words in _joined(predictions.table):
        part = slice(start, start + len(words))
        start = part.stop
        given = best_tags(logits[part], names)
        found.append(
            Sentence(
                example=example,
                row=row,
                words=words,
                tags=[names[i] for i in predictions.labels[part]],
                predicted=[names[i] for i in given],
                confidence=probabilities[part][np.arange(len(words)), given],
                loss=float(losses[part].sum()),
            )
        )
    return found


def known_entities(train: pa.Table, label_names: Sequence[str]) -> set[tuple[str, str]]:
    """The entities of the training split, by words and type.

    Args:
        train: The split.
        label_names: The name of label i is `label_names[i]`.
    """
    found = set()
    labels = _flat(train["label"].to_pylist())
    tags = iter([label_names[i] for i in labels if i >= 0])
    for _, _, words in _joined(train):
        of_sentence = [next(tags) for _ in words]
        for start, stop, kind in entities(of_sentence):
            found.add((" ".join(words[start:stop]), kind))
    return found


def _joined(table: pa.Table) -> Iterator[tuple[int, int, list[str]]]:
    """The first example, the row and the words of every sentence."""
    first, before, words = 0, None, list[str]()
    rows, parts = table["row"].to_pylist(), table["text"].to_pylist()
    for example, (row, part) in enumerate(zip(rows, parts, strict=True)):
        if row != before:
            if words:
                yield first, before or 0, words
            first, before, words = example, row, []
        words = words + part
    if words:
        yield first, before or 0, words


def _flat(lists: Sequence[Sequence[Any]]) -> list[Any]:
    return [item for part in lists for item in part]
