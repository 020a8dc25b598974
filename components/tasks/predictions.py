"""A model's outputs for a split, beside what is true."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """An entity, or a word with its tag, in a text.

    Attributes:
        label: The type of the entity, or the tag.
        text: As it is in the text.
        start: Its first character in the text, from 0; of a list of words in these with spaces
            between.
        end: The character after its last.
        probability: Of a word's tag; of an entity, of the least probable of its words' tags.
    """

    label: str
    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one text.

    Attributes:
        labels: The most probable label; of a model for several labels, those above their
            thresholds, the most probable first; of one for numbers or for words none.
        probabilities: Of every label, the most probable first; of a model for numbers or for words
            empty.
        value: The number, of a model for numbers.
        spans: The entities, or all words, of a model for words.
    """

    labels: tuple[str, ...] = ()
    probabilities: dict[str, float] = field(default_factory=dict)
    value: float | None = None
    spans: tuple[Span, ...] | None = None


@dataclass(frozen=True)
class Predictions:
    """What a model says of a split, in the split's own order.

    Attributes:
        table: The split.
        labels: As the task's `targets` gives them; of words one for each, row after row.
        logits: Shape [rows, outputs], or of words [words, outputs].
        lengths: Tokens of every row, shape [rows].
    """

    table: pa.Table
    labels: NDArray[Any]
    logits: NDArray[np.float32]
    lengths: NDArray[np.int64]
