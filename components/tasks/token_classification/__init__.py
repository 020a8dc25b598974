"""Token classification: every word of a sentence has a tag, and tags may mark entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks import choices, losses, text_classification, usual_names
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.predictions import Prediction, Predictions
from kfp_finetune.components.tasks.problem_types import ENTITIES, SINGLE_LABEL
from kfp_finetune.components.tasks.token_classification.reading import TagSets
from kfp_finetune.components.tasks.token_classification.understanding import understand_tags
from kfp_finetune.components.tasks.token_classification.word_labels import WordLabels
from kfp_finetune.components.tasks.token_classification.words import words_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from kfp_finetune.components.artifacts.metrics import Metrics
    from kfp_finetune.components.artifacts.model import ModelManifest
    from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
    from kfp_finetune.components.tasks.token_classification.windows import TokenizeWords

NAME = "token-classification"
PER_WORD = True
TEXT_COLUMNS, LABEL_COLUMNS, PAIRS = usual_names.WORDS, usual_names.TAGS, False


def check_columns(labels: Sequence[str], text_pair: str | None) -> None:
    """Check how many columns there are.

    Raises:
        InputError: If there is more than one of words or of tags.
    """
    choices.check_text_pair(NAME, text_pair)
    if len(labels) > 1:
        raise InputError(
            f"there are {len(labels)} label columns",
            where="label_column",
            expected=f"one column of tags, for {NAME}",
            remedy=f"--label-column {labels[0]}",
        )


def label_values(known: Sequence[str], *, mend: bool) -> TagSets:
    """What numbers the tags of the rows as they are read.

    Args:
        known: Names of tags that are given as numbers.
        mend: Whether empty words are left out, and tags that are out of order mended.
    """
    return TagSets(known, mend=mend)


def understand_labels(values: TagSets, problem_type: str, **how: Any) -> Labels:
    """Find out what the tags mean; arguments as `labels.understand_labels` takes them."""
    return understand_tags(values, problem_type, **how)


def tokenize(
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    *,
    pairs: bool = False,
    labels: Labels | None = None,
) -> TokenizeWords:
    """What makes examples of rows.

    Args:
        tokenizer: The model's.
        max_length: Tokens per example.
        pairs: Not used: there are none.
        labels: What the tags mean; None where there are no tags.
    """
    from kfp_finetune.components.tasks.token_classification.windows import TokenizeWords

    return TokenizeWords(tokenizer, max_length, labels.of_words if labels else None)


def label_type(problem_type: str) -> pa.DataType:
    """How labels are stored: int32 ids, or `IGNORED` or `CONTINUED`, of every token."""
    import pyarrow as pa

    return pa.list_(pa.int32())


def text_type() -> pa.DataType:
    """How words are stored."""
    import pyarrow as pa

    return pa.list_(pa.string())


def label_text(label: NDArray[np.int32], names: Sequence[str], words: Sequence[str]) -> str:
    """A stored label as people read it: the words whose tag is not O."""
    tags = [names[i] for i in label if i >= 0]
    told = (f"{word} {tag}" for word, tag in zip(words, tags, strict=True) if tag != "O")
    return ", ".join(told) or "no entity"


def targets(column: pa.ChunkedArray, problem_type: str, label_names: list[str]) -> NDArray[Any]:
    """The labels of all words, row after row: int32, shape [words]."""
    flat = [chunk.flatten().to_numpy() for chunk in column.chunks]
    ids = np.concatenate([np.zeros(0, np.int32), *flat])
    return ids[ids >= 0]


def word_labels(column: pa.ChunkedArray, label_names: list[str]) -> WordLabels:
    """The labels of words, to be gathered into batches."""
    return WordLabels(column, label_names)


def check_training_loss(
    label_smoothing_factor: float, class_weights: str, problem_type: str
) -> None:
    """Check the parameters of `training_loss`: the same as of texts with one label.

    Raises:
        InputError: If one has no such value.
    """
    choices.check_training_loss(label_smoothing_factor, class_weights, SINGLE_LABEL)


def loss(problem_type: str) -> Any:
    """Cross-entropy between every word's label and the softmax of its first piece's logits."""
    return losses.loss(SINGLE_LABEL)


def training_loss(
    problem_type: str, label_smoothing_factor: float, class_weights: str, targets: NDArray[Any]
) -> Any:
    """What training minimizes instead of `loss`; arguments as `text_classification` takes them."""
    return losses.training_loss(SINGLE_LABEL, label_smoothing_factor, class_weights, targets)


def training_metrics(problem_type: str, label_names: Sequence[str]) -> list[Any]:
    """What is measured on the validation split while training: accuracy, of entities also F1."""
    from kfp_finetune.components.tasks.token_classification.word_metrics import (
        EntityF1,
        WordAccuracy,
    )

    accuracy = WordAccuracy(name="accuracy")
    return [EntityF1(label_names), accuracy] if problem_type == ENTITIES else [accuracy]


def columns_of(texts: Sequence[Any], *, pairs: bool) -> list[list[list[str]]]:
    """Texts, or sentences of words, to predict for as the column that `tokenize` takes."""
    return [[words_of(text)[0] for text in texts]]


def what_is_no_text(text: Any) -> str:
    """Why there is nothing to predict for, or nothing that can be read; empty where there is."""
    if isinstance(text, list) and text and all(type(w) is str and w.strip() for w in text):
        return ""
    if isinstance(text, list):
        return f"{text!r} is not a list of words"
    return text_classification.what_is_no_text(text)


def outputs(logits: NDArray[np.float32], label: NDArray[np.int32]) -> NDArray[np.float32]:
    """Of a model's outputs for one example those of its words, shape [words, labels]."""
    return logits[: len(label)][label >= 0]


def answer(
    text: str | list[str], logits: NDArray[np.float32], model: ModelManifest, temperature: float
) -> Prediction:
    """What a model says of a text: its entities, or each word with its tag.

    Args:
        text: The text, or its words.
        logits: Shape [words, labels].
        model: The model's manifest.
        temperature: What logits are divided by for probabilities.
    """
    from kfp_finetune.components.tasks.token_classification.answers import spans_of

    return Prediction(spans=spans_of(text, logits, model, temperature))


def score(
    predictions: Predictions,
    train: pa.Table,
    model: ModelManifest,
    data: TokenizedDatasetManifest,
    split: str,
    *,
    with_texts: bool,
) -> Metrics:
    """Everything that is measured; arguments as `text_classification.score` takes them."""
    from kfp_finetune.components.tasks.token_classification.scoring import score

    return score(predictions, train, model, data, split, with_texts=with_texts)
