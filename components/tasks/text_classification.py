"""Text classification: one label, several labels or a number for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks import labels as meanings
from kfp_finetune.components.tasks import problem_types
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.predictions import Prediction
from kfp_finetune.components.tasks.problem_types import (
    MULTI_LABEL,
    PROBLEM_TYPES,
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
PLAIN_TEXT = "lines"
# Names that datasets commonly use.
TEXT_COLUMNS = ("text", "sentence", "utterance", "message", "content", "review", "question")
LABEL_COLUMNS = ("label", "labels", "category", "intent", "class", "target", "gold_label")
CLASS_WEIGHTS = ("none", "balanced")


def check_problem_type(problem_type: str) -> None:
    """Check the parameter.

    Raises:
        InputError: If it is neither "auto" nor a known problem type.
    """
    problem_types.check_problem_type(problem_type, PROBLEM_TYPES)


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


def model_class() -> Any:
    """The Transformers class of the model."""
    from transformers import TFAutoModelForSequenceClassification

    return TFAutoModelForSequenceClassification


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


def check_training_loss(
    label_smoothing_factor: float, class_weights: str, problem_type: str
) -> None:
    """Check the parameters of `training_loss`.

    Args:
        label_smoothing_factor: As given.
        class_weights: As given.
        problem_type: "auto" where it is not known yet: then the values are checked alone.

    Raises:
        InputError: If one has no such value, or has no meaning for the problem type.
    """
    problems = []
    if not 0 <= label_smoothing_factor < 1:
        problems.append(
            InputError(
                f"label_smoothing_factor is {label_smoothing_factor:g}",
                where="label_smoothing_factor",
                expected="a share of at least 0 and below 1",
                remedy="--label-smoothing-factor 0.1",
            )
        )
    elif label_smoothing_factor and problem_type == REGRESSION:
        problems.append(
            InputError(
                f"label_smoothing_factor is {label_smoothing_factor:g}, and a number to predict"
                " cannot be smoothed",
                where="label_smoothing_factor",
                expected=f"{SINGLE_LABEL} or {MULTI_LABEL}",
                remedy="leave --label-smoothing-factor out",
            )
        )
    if class_weights not in CLASS_WEIGHTS:
        problems.append(
            InputError(
                f"class_weights '{class_weights}' is not known",
                where="class_weights",
                expected="one of " + ", ".join(CLASS_WEIGHTS),
                remedy="--class-weights balanced",
            )
        )
    elif class_weights == "balanced" and problem_type in (MULTI_LABEL, REGRESSION):
        problems.append(
            InputError(
                f"class_weights is balanced, and in {problem_type} a row is not of one class",
                where="class_weights",
                expected=SINGLE_LABEL,
                remedy="leave --class-weights out",
            )
        )
    if problems:
        raise InputError.of_all(problems)


def loss(problem_type: str) -> Any:
    """What is measured, and what training minimizes where `training_loss` is None, from logits.

    Returns:
        Single-label: cross-entropy between the label and the softmax of the logits. Multi-label:
        binary cross-entropy, averaged over the labels. Regression: the squared error.
    """
    from tf_keras import losses

    if problem_type == SINGLE_LABEL:
        return losses.SparseCategoricalCrossentropy(from_logits=True)
    if problem_type == MULTI_LABEL:
        return losses.BinaryCrossentropy(from_logits=True)
    return losses.MeanSquaredError()


def training_loss(
    problem_type: str, label_smoothing_factor: float, class_weights: str, targets: NDArray[Any]
) -> Any:
    """What training minimizes instead of `loss`, where it is to be something else.

    Args:
        problem_type: What the targets are.
        label_smoothing_factor: s in [0, 1). Single-label: the target is 1 - s + s / labels for the
            label and s / labels for the others. Multi-label: 1 - s / 2 or s / 2. Both as in Keras.
        class_weights: "balanced": an example's loss is multiplied by n / (labels × n of its label),
            with examples counted in the training split, as in scikit-learn. "none": by 1.
        targets: Of the training split, as `targets` returns them.

    Returns:
        A Keras loss, or None for `loss`. The weighted losses are averaged as Keras does it: their
        sum is divided by the number of examples. (PyTorch divides by the sum of their weights, so
        that a batch of rare labels alone would count no more than one of common labels.) Over the
        training split the weights average 1, so the learning rate keeps its meaning.
    """
    if label_smoothing_factor == 0 and class_weights == "none":
        return None
    import tensorflow as tf
    from tf_keras import losses

    if problem_type == MULTI_LABEL:
        return losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing_factor)
    weights = balanced_class_weights(targets) if class_weights == "balanced" else None

    class TrainingLoss(losses.Loss):
        """Cross-entropy with smoothed labels, times the weight of the true label."""

        def call(self, y_true: Any, y_pred: Any) -> Any:
            values = losses.categorical_crossentropy(
                tf.one_hot(y_true, tf.shape(y_pred)[-1]),
                y_pred,
                from_logits=True,
                label_smoothing=label_smoothing_factor,
            )
            if weights is None:
                return values
            # No example has the last labels: pieces of words may be trained to have them.
            of_all = np.pad(weights, (0, y_pred.shape[-1] - len(weights)))
            return values * tf.gather(of_all, y_true)

    return TrainingLoss()


def balanced_class_weights(targets: NDArray[np.int32]) -> NDArray[np.float32]:
    """The weight of every label: n / (labels that occur × n of this one).

    Args:
        targets: Label ids of the training split, shape [rows].

    Returns:
        float32, shape [highest id + 1]; 0 for a label without an example.
    """
    counts = np.bincount(targets)
    occurring = np.maximum(counts, 1) * np.count_nonzero(counts)
    return np.where(counts > 0, len(targets) / occurring, 0).astype(np.float32)


def training_metrics(problem_type: str, label_names: Sequence[str]) -> list[Any]:
    """What is measured on the validation split while training, besides the loss."""
    import tensorflow as tf
    from tf_keras import metrics

    class MicroF1(metrics.F1Score):
        """F1 over all labels of all rows, from logits: a label is predicted above 0."""

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            super().update_state(y_true, tf.sigmoid(y_pred), sample_weight)

    if problem_type == SINGLE_LABEL:
        return [metrics.SparseCategoricalAccuracy(name="accuracy")]
    if problem_type == MULTI_LABEL:
        return [MicroF1(average="micro", threshold=0.5, name="micro_f1")]
    return [metrics.MeanAbsoluteError(name="mae")]


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
