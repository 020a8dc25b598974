"""The outputs of a model: for one text, and for a whole split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """An entity, or a word with its tag, in a text.

    Attributes:
        label: The type of the entity, or the tag.
        text: The text of the span.
        start: Position of its first character, from 0; in a list of words, in the words joined by
            spaces.
        end: Position after its last character.
        probability: That of the tag; of an entity, that of its least probable tag.
    """

    label: str
    text: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The prediction for one text.

    Attributes:
        labels: The most probable label; with several labels per text, those above their thresholds,
            the most probable first; empty for numbers and tags.
        probabilities: The probabilities of all labels, in descending order; empty for numbers and
            tags.
        value: The predicted number; None for labels and tags.
        spans: The entities, or all words with their tags; None for labels and numbers.
    """

    labels: tuple[str, ...] = ()
    probabilities: dict[str, float] = field(default_factory=dict)
    value: float | None = None
    spans: tuple[Span, ...] | None = None

    def rounded(self) -> dict[str, float]:
        """The probabilities with six decimals."""
        return {name: round(p, 6) for name, p in self.probabilities.items()}


@dataclass(frozen=True)
class Predictions:
    """The logits for a split, in the order of the split.

    Attributes:
        table: The split.
        labels: As the task's `targets` returns them.
        logits: Shape [rows, outputs]; for tags [words, outputs].
        lengths: Tokens of every row, shape [rows].
    """

    table: pa.Table
    labels: NDArray[Any]
    logits: NDArray[np.float32]
    lengths: NDArray[np.int64]
