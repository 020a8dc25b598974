"""Decode logits to tags, and tags to entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from kfp_finetune.components.tasks.token_classification.tags import parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

Entity = tuple[int, int, str]


def best_tags(logits: NDArray[np.floating], label_names: Sequence[str]) -> NDArray[np.int64]:
    """The most probable valid sequence of IOB2 tags (Viterbi, 1967).

    The most probable tag of each word alone could be an I- tag that continues no entity. Other tags
    may follow each other in any order, so each word gets its most probable one.

    Args:
        logits: Shape [words, labels].
        label_names: The name of label i is `label_names[i]`.

    Returns:
        Ids, shape [words].
    """
    parsed = [parse(name) for name in label_names]
    inside = np.array([letter == "I" for letter, _ in parsed])
    if not inside.any():
        return np.asarray(logits.argmax(axis=1))
    kinds = np.array([kind for _, kind in parsed])
    allowed = ~inside | (kinds[:, np.newaxis] == kinds)  # from the row's tag to the column's
    forbidden = np.where(allowed, 0, -np.inf)
    likelihoods = log_softmax(np.asarray(logits, np.float64), axis=1)
    best = likelihoods[0] + np.where(inside, -np.inf, 0)
    before = np.zeros(logits.shape, np.int64)
    for i in range(1, len(logits)):
        reached = best[:, np.newaxis] + forbidden
        before[i] = reached.argmax(axis=0)
        best = reached.max(axis=0) + likelihoods[i]
    tags = np.zeros(len(logits), np.int64)
    tags[-1] = best.argmax()
    for i in range(len(logits) - 1, 0, -1):
        tags[i - 1] = before[i, tags[i]]
    return tags


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities that IOB2 tags mark, as in seqeval's strict mode.

    Returns:
        For each entity its first word, the word after its last, and its type. No entity can start
        with an I- tag.
    """
    found: list[Entity] = []
    start, kind = -1, ""
    for i, (letter, type_) in enumerate([*map(parse, tags), ("O", "")]):
        if start >= 0 and not (letter == "I" and type_ == kind):
            found.append((start, i, kind))
            start = -1
        if letter == "B":
            start, kind = i, type_
    return found
