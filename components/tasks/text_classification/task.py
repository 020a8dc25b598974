"""The task text-classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.tasks import usual_names
from kfp_finetune.components.tasks.task import Task
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    PROBLEM_TYPES,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.values import LabelValues, text_problem

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

    from kfp_finetune.components.artifacts.metrics import Metrics
    from kfp_finetune.components.artifacts.model import ModelManifest
    from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
    from kfp_finetune.components.tasks.calibration import Fitted
    from kfp_finetune.components.tasks.labels import LabelContext, Labels
    from kfp_finetune.components.tasks.loss_parameters import LossParameters
    from kfp_finetune.components.tasks.predictions import Prediction, Predictions
    from kfp_finetune.components.tasks.scores.tally import Tally
    from kfp_finetune.components.tasks.tokenization import TextTokenizer

_PIPELINE = (
    "from transformers import pipeline\n\n"
    'classify = pipeline("text-classification", model={model}, truncation=True,'
    " max_length={max_length})\n"
)


class TextClassification(Task):
    """Text classification; the methods are documented in `Task`."""

    name = "text-classification"
    problem_types = PROBLEM_TYPES
    text_columns = usual_names.TEXTS
    label_columns = usual_names.LABELS
    takes_pairs = True
    expected_row = "a text and a label in every row"
    sample_code = _PIPELINE + 'print(classify("A text to try."))'
    sample_code_of_pairs = (
        _PIPELINE
        + 'print(classify({{"text": "The first text.", "text_pair": "The second text."}}))'
    )

    def label_values(self, known: Sequence[str], *, repair: bool) -> LabelValues:
        return LabelValues()

    def understand_labels(
        self, values: LabelValues, problem_type: str, context: LabelContext
    ) -> Labels:
        from kfp_finetune.components.tasks.text_classification.understanding import (
            understand_labels,
        )

        return understand_labels(values.values, problem_type, context)

    def row_tokenizer(
        self,
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        *,
        pairs: bool = False,
        labels: Labels | None = None,
    ) -> TextTokenizer:
        from kfp_finetune.components.tasks.tokenization import TextTokenizer

        return TextTokenizer(tokenizer, max_length, pairs=pairs)

    def label_type(self, problem_type: str) -> pa.DataType:
        """An int32 id, a list of int32 ids, or a float32 number."""
        import pyarrow as pa

        types = {
            SINGLE_LABEL: pa.int32(),
            MULTI_LABEL: pa.list_(pa.int32()),
            REGRESSION: pa.float32(),
        }
        return types[problem_type]

    def text_type(self) -> pa.DataType:
        import pyarrow as pa

        return pa.large_string()

    def label_text(self, label: Any, names: Sequence[str], text: Any) -> str:
        if isinstance(label, list):
            return ", ".join(names[i] for i in label) or "none"
        return names[label] if names else f"{label:g}"

    def targets(
        self, column: pa.ChunkedArray, problem_type: str, label_names: Sequence[str]
    ) -> NDArray[Any]:
        """Stored labels in the form that the loss takes.

        Returns:
            Single-label: ids, int32, shape [rows]. Multi-label: 0 or 1, float32, shape [rows,
            labels]. Regression: float32, shape [rows, 1].
        """
        import numpy as np

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

    def loss(self, problem_type: str) -> Any:
        from kfp_finetune.components.tasks.text_classification import losses

        return losses.loss(problem_type)

    def training_loss(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> Any:
        from kfp_finetune.components.tasks.text_classification import losses

        return losses.training_loss(problem_type, parameters, targets, label_names)

    def constant_loss(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> float:
        from kfp_finetune.components.tasks.text_classification import losses

        return losses.constant_loss(problem_type, parameters, targets, label_names)

    def constant_logits(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> NDArray[np.float32]:
        from kfp_finetune.components.tasks.text_classification import losses

        return losses.constant_logits(problem_type, parameters, targets, label_names)

    def counts_and_weights(
        self,
        problem_type: str,
        class_weights: str,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        from kfp_finetune.components.tasks.text_classification import losses

        return losses.counts_and_weights(problem_type, class_weights, targets, label_names)

    def training_metrics(
        self, problem_type: str, label_names: Sequence[str], positive_label: str | None = None
    ) -> list[Any]:
        from kfp_finetune.components.tasks.text_classification import losses

        return losses.training_metrics(problem_type, label_names, positive_label)

    def calibrate(
        self, problem_type: str, labels: NDArray[Any], logits: NDArray[np.float32]
    ) -> Fitted:
        from kfp_finetune.components.tasks import calibration

        if problem_type == MULTI_LABEL:
            return calibration.fit_thresholds(labels, logits)
        if problem_type == SINGLE_LABEL:
            return calibration.fit_temperature(labels, logits)
        return calibration.Fitted()

    def tally(
        self,
        problem_type: str,
        predictions: Predictions,
        label_names: Sequence[str],
        positive_label: str | None = None,
    ) -> Tally:
        from kfp_finetune.components.tasks.text_classification.measure import tally

        positive = label_names.index(positive_label) if positive_label else None
        return tally(problem_type, predictions.labels, predictions.logits, None, positive)

    def text_problem(self, text: Any) -> str:
        return text_problem(text)

    def columns_of(self, texts: Sequence[Any], *, pairs: bool) -> list[list[str]]:
        return [list(column) for column in zip(*texts, strict=True)] if pairs else [list(texts)]

    def outputs(self, logits: NDArray[np.float32], label: Any) -> NDArray[np.float32]:
        return logits[None]

    def answer(
        self, text: Any, logits: NDArray[np.float32], model: ModelManifest, temperature: float
    ) -> Prediction:
        """The prediction for one text; `logits` are of shape [1, labels]."""
        import numpy as np
        from scipy.special import expit, softmax

        from kfp_finetune.components.tasks.predictions import Prediction

        names = model.label_names
        scores = logits[0].astype(np.float64)
        if model.problem_type == REGRESSION:
            return Prediction(value=float(scores[0]))
        several = model.problem_type == MULTI_LABEL
        probabilities = expit(scores) if several else softmax(scores / temperature)
        order = np.argsort(-probabilities, kind="stable")
        thresholds = model.thresholds or [0.5] * len(names)
        chosen = [i for i in order if probabilities[i] > thresholds[i]] if several else order[:1]
        return Prediction(
            labels=tuple(names[i] for i in chosen),
            probabilities={names[i]: float(probabilities[i]) for i in order},
        )

    def score(
        self,
        predictions: Predictions,
        train: pa.Table,
        model: ModelManifest,
        data: TokenizedDatasetManifest,
        split: str,
        *,
        with_texts: bool,
    ) -> Metrics:
        from kfp_finetune.components.tasks.text_classification.measure import measure
        from kfp_finetune.components.tasks.text_classification.mistakes import find_mistakes
        from kfp_finetune.components.tasks.text_classification.slices import score_slices

        metrics = measure(
            model.problem_type,
            predictions.labels,
            predictions.logits,
            model.label_names,
            split,
            temperature=model.temperature,
            thresholds=model.thresholds,
            positive_label=model.positive_label,
        )
        slices = score_slices(predictions, model, data.slice_columns, data.max_length)
        mistakes = find_mistakes(predictions, model, with_texts=with_texts)
        return metrics.model_copy(update={"slices": slices, **mistakes})


TASK = TextClassification()
