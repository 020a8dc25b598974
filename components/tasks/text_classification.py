"""Text classification: one label, several labels or a number for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.tasks import labels as meanings
from kfp_finetune.components.tasks import usual_names
from kfp_finetune.components.tasks.choices import (
    check_training_loss,  # noqa: F401 - as every task has it
)
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.losses import (  # noqa: F401 - as every task has them
    loss,
    training_loss,
    training_metrics,
)
from kfp_finetune.components.tasks.predictions import Prediction
from kfp_finetune.components.tasks.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.tokenization import Tokenize
from kfp_finetune.components.tasks.values import LabelValues

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from kfp_finetune.components.artifacts.metrics import Metrics
    from kfp_finetune.components.artifacts.model import ModelManifest
    from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
    from kfp_finetune.components.tasks.predictions import Predictions

NAME = "text-classification"
PER_WORD = False  # whether every word has a label
TEXT_COLUMNS, LABEL_COLUMNS, PAIRS = usual_names.TEXTS, usual_names.LABELS, True


def check_columns(labels: Sequence[str], text_pair: str | None) -> None:
    """Check how many columns there are: there may be two of texts, and any number of labels."""


def label_values(known: Sequence[str], *, mend: bool) -> LabelValues:
    """What numbers the labels of the rows as they are read.

    Args:
        known: Names of labels that are given as numbers; not needed yet.
        mend: Whether rows are mended where that is possible: it is not.
    """
    return LabelValues()


def understand_labels(values: LabelValues, problem_type: str, **how: Any) -> Labels:
    """Find out what the labels mean; arguments as `labels.understand_labels` takes them."""
    return meanings.understand_labels(values.values, problem_type, **how)


def tokenize(
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    *,
    pairs: bool = False,
    labels: Labels | None = None,
) -> Tokenize:
    """What makes examples of rows.

    Args:
        tokenizer: The model's.
        max_length: Tokens per example.
        pairs: Whether there are pairs of texts.
        labels: What the labels mean; a text's tokens do not depend on it.
    """
    return Tokenize(tokenizer, max_length, pairs=pairs)


def label_type(problem_type: str) -> pa.DataType:
    """How labels are stored: int32 ids, lists of int32 ids, or float32 numbers."""
    import pyarrow as pa

    types = {SINGLE_LABEL: pa.int32(), MULTI_LABEL: pa.list_(pa.int32()), REGRESSION: pa.float32()}
    return types[problem_type]


def text_type() -> pa.DataType:
    """How texts are stored."""
    import pyarrow as pa

    return pa.large_string()


def label_text(label: Any, names: Sequence[str], text: str) -> str:
    """A stored label as people read it."""
    if isinstance(label, list):
        return ", ".join(names[i] for i in label) or "none"
    return names[label] if names else f"{label:g}"


def targets(column: pa.ChunkedArray, problem_type: str, label_names: list[str]) -> NDArray[Any]:
    """Stored labels as the loss takes them.

    Returns:
        Single-label: ids, int32, shape [rows]. Multi-label: 0 or 1, float32, shape [rows, labels].
        Regression: float32, shape [rows, 1].
    """
    if problem_type == SINGLE_LABEL:
        return column.to_numpy().astype(np.int32)  # type: ignore[no-any-return]
    if problem_type == REGRESSION:
        return column.to_numpy().astype(np.float32)[:, np.newaxis]  # type: ignore[no-any-return]
    array = column.combine_chunks()
    offsets = array.offsets.to_numpy()
    ids = array.values.to_numpy()[offsets[0] : offsets[-1]]
    marked = np.zeros((len(array), len(label_names)), np.float32)
    marked[np.repeat(np.arange(len(array)), np.diff(offsets)), ids] = 1
    return marked


def word_labels(column: pa.ChunkedArray, label_names: list[str]) -> None:
    """The labels of words: texts have labels, their words none."""


def columns_of(texts: Sequence[Any], *, pairs: bool) -> list[list[str]]:
    """Texts to predict for, or pairs of texts, as the columns that `tokenize` takes."""
    return [list(column) for column in zip(*texts, strict=True)] if pairs else [list(texts)]


def what_is_no_text(text: Any) -> str:
    """Why there is nothing to predict for, or nothing that can be read; empty where there is."""
    if isinstance(text, str) and text.strip():
        return ""
    return "there is no text" if text is None or text == "" else f"{text!r} is not a text"


def outputs(logits: NDArray[np.float32], label: Any) -> NDArray[np.float32]:
    """Of a model's outputs for one example those that are predictions, shape [1, labels]."""
    return logits[np.newaxis]


def answer(
    text: Any, logits: NDArray[np.float32], model: ModelManifest, temperature: float
) -> Prediction:
    """What a model says of a text.

    Args:
        text: The text.
        logits: Shape [1, labels].
        model: The model's manifest.
        temperature: What logits are divided by for probabilities.
    """
    from scipy.special import expit, softmax

    names = model.label_names
    scores = logits[0].astype(np.float64)
    if model.problem_type == REGRESSION:
        return Prediction(value=float(scores[0]))
    several = model.problem_type == MULTI_LABEL
    probabilities = expit(scores) if several else softmax(scores / temperature)
    order = np.argsort(-probabilities, kind="stable")
    thresholds = model.thresholds or [0.5] * len(names)
    given = [i for i in order if probabilities[i] > thresholds[i]] if several else order[:1]
    return Prediction(
        labels=tuple(names[i] for i in given),
        probabilities={names[i]: float(probabilities[i]) for i in order},
    )


def score(
    predictions: Predictions,
    train: pa.Table,
    model: ModelManifest,
    data: TokenizedDatasetManifest,
    split: str,
    *,
    with_texts: bool,
) -> Metrics:
    """Everything that is measured: scores, slices, mistakes.

    Args:
        predictions: Of the split.
        train: The training split; may be empty.
        model: The model's manifest.
        data: The manifest of the data.
        split: The split's name.
        with_texts: Whether examples have their texts.

    Raises:
        InputError: As `measure`.
    """
    from kfp_finetune.components.tasks.scores.measure import measure
    from kfp_finetune.components.tasks.scores.mistakes import find_mistakes
    from kfp_finetune.components.tasks.scores.slices import score_slices

    metrics = measure(
        model.problem_type,
        predictions.labels,
        predictions.logits,
        model.label_names,
        split,
        temperature=model.temperature,
        thresholds=model.thresholds,
    )
    slices = score_slices(predictions, model, data.slice_columns, data.max_length)
    mistakes = find_mistakes(predictions, model, with_texts=with_texts)
    return metrics.model_copy(update={"slices": slices, **mistakes})
