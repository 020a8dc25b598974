"""The task token-classification."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks import usual_names
from kfp_finetune.components.tasks.task import Task
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, PROBLEM_TYPES
from kfp_finetune.components.tasks.token_classification.tags import OUTSIDE, mark_entities
from kfp_finetune.components.tasks.values import text_problem

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
    from kfp_finetune.components.tasks.token_classification.reading import TagSets
    from kfp_finetune.components.tasks.token_classification.windows import WordTokenizer
    from kfp_finetune.components.tasks.token_classification.word_labels import WordLabels
    from kfp_finetune.components.tasks.values import LabelValues


class TokenClassification(Task):
    """Token classification; the methods are documented in `Task`."""

    name = "token-classification"
    problem_types = PROBLEM_TYPES
    text_columns = usual_names.WORDS
    label_columns = usual_names.TAGS
    reads_lists = True
    per_token = True
    unit = "words"
    plain_text = "conll"
    on_bad_row = ("error", "drop", "repair", "mend")  # mend: the name of repair in 0.1.0
    expected_row = "words, and a tag for each, in every row"
    keeps_training_texts = True  # entities unseen in training are scored on their own
    sample_code = (
        "from transformers import pipeline\n\n"
        'tag = pipeline("token-classification", model={model}, aggregation_strategy="first")\n'
        'print(tag("A text to try."))'
    )

    def recognizes(self, values: Collection[str]) -> bool:
        """Return True if the values are tags of entities."""
        return mark_entities(values)

    def check_columns(self, labels: Sequence[str], text_pair: str | None) -> None:
        super().check_columns(labels, text_pair)
        if len(labels) > 1:
            raise InputError(
                f"there are {len(labels)} label columns",
                where="label_column",
                expected=f"one column of tags, for {self.name}",
                remedy=f"--label-column {labels[0]}",
            )

    def label_values(self, known: Sequence[str], *, repair: bool) -> TagSets:
        from kfp_finetune.components.tasks.token_classification.reading import TagSets

        return TagSets(known, repair=repair)

    def understand_labels(
        self, values: LabelValues, problem_type: str, context: LabelContext
    ) -> Labels:
        from kfp_finetune.components.tasks.token_classification.reading import TagSets
        from kfp_finetune.components.tasks.token_classification.understanding import (
            understand_tags,
        )

        if not isinstance(values, TagSets):
            raise TypeError("tags are understood from what `label_values` returns")
        return understand_tags(values, problem_type, context)

    def row_tokenizer(
        self,
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        *,
        pairs: bool = False,
        labels: Labels | None = None,
    ) -> WordTokenizer:
        from kfp_finetune.components.tasks.token_classification.windows import WordTokenizer

        return WordTokenizer(tokenizer, max_length, labels.words if labels else None)

    def label_type(self, problem_type: str) -> pa.DataType:
        """For every token an int32 id, or `IGNORED` or `CONTINUED`."""
        import pyarrow as pa

        return pa.list_(pa.int32())

    def text_type(self) -> pa.DataType:
        import pyarrow as pa

        return pa.list_(pa.string())

    def label_text(self, label: Any, names: Sequence[str], text: Any) -> str:
        """The words whose tag is not O, each with its tag."""
        tags = [names[i] for i in label if i >= 0]
        tagged = [f"{word} {tag}" for word, tag in zip(text, tags, strict=True) if tag != OUTSIDE]
        return ", ".join(tagged) or "no entity"

    def targets(
        self, column: pa.ChunkedArray, problem_type: str, label_names: Sequence[str]
    ) -> NDArray[Any]:
        """The label ids of all words, row after row: int32, shape [words]."""
        import numpy as np

        flat = [chunk.flatten().to_numpy() for chunk in column.chunks]
        ids = np.concatenate([np.zeros(0, np.int32), *flat])
        return ids[ids >= 0]

    def token_labels(self, column: pa.ChunkedArray, label_names: Sequence[str]) -> WordLabels:
        from kfp_finetune.components.tasks.token_classification.word_labels import WordLabels

        return WordLabels(column, label_names)

    def loss(self, problem_type: str) -> Any:
        """Cross-entropy between every word's label and the softmax of its first piece's logits."""
        from kfp_finetune.components.tasks.losses import cross_entropy

        return cross_entropy()

    def training_loss(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> Any:
        from kfp_finetune.components.tasks.losses import training_cross_entropy

        return training_cross_entropy(parameters, targets, label_names)

    def constant_loss(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> float:
        """The entropy of the tags of words."""
        from kfp_finetune.components.tasks.losses import constant_cross_entropy

        return constant_cross_entropy(parameters, targets, label_names)

    def constant_logits(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> NDArray[np.float32]:
        """The logarithms of the shares of the tags of words."""
        from kfp_finetune.components.tasks.losses import constant_softmax_logits

        return constant_softmax_logits(parameters, targets, label_names)

    def counts_and_weights(
        self,
        problem_type: str,
        class_weights: str,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        from kfp_finetune.components.tasks.losses import counts_and_weights

        return counts_and_weights(class_weights, targets, label_names)

    def training_metrics(
        self, problem_type: str, label_names: Sequence[str], positive_label: str | None = None
    ) -> list[Any]:
        """Accuracy of words and mean F1 of tags; for entities F1, and its mean over the types."""
        from kfp_finetune.components.tasks.label_metrics import F1, one_label
        from kfp_finetune.components.tasks.token_classification.word_metrics import (
            EntityF1,
            WordAccuracy,
        )

        accuracy = WordAccuracy(name="accuracy")
        if problem_type == ENTITIES:
            return [EntityF1(label_names), accuracy, EntityF1(label_names, "macro")]
        return [accuracy, F1("macro", len(label_names), one_label)]

    def calibrate(
        self, problem_type: str, labels: NDArray[Any], logits: NDArray[np.float32]
    ) -> Fitted:
        from kfp_finetune.components.tasks.calibration import fit_temperature

        return fit_temperature(labels, logits)

    def tally(
        self,
        problem_type: str,
        predictions: Predictions,
        label_names: Sequence[str],
        positive_label: str | None = None,
    ) -> Tally:
        from kfp_finetune.components.tasks.token_classification.entity_scores import entity_tally
        from kfp_finetune.components.tasks.token_classification.sentences import tagged_sentences

        return entity_tally(tagged_sentences(predictions, label_names, 1.0), label_names)

    def text_problem(self, text: Any) -> str:
        if isinstance(text, list):
            is_words = text and all(type(word) is str and word.strip() for word in text)
            return "" if is_words else f"{text!r} is not a list of words"
        return text_problem(text)

    def columns_of(self, texts: Sequence[Any], *, pairs: bool) -> list[list[list[str]]]:
        from kfp_finetune.components.tasks.token_classification.words import words_of

        return [[words_of(text)[0] for text in texts]]

    def outputs(self, logits: NDArray[np.float32], label: Any) -> NDArray[np.float32]:
        """The logits of the first piece of every word, shape [words, labels]."""
        return logits[: len(label)][label >= 0]  # type: ignore[no-any-return]

    def answer(
        self, text: Any, logits: NDArray[np.float32], model: ModelManifest, temperature: float
    ) -> Prediction:
        """The entities of a text or of a list of words, or each word with its tag."""
        from kfp_finetune.components.tasks.predictions import Prediction
        from kfp_finetune.components.tasks.token_classification.answers import spans_of

        return Prediction(spans=spans_of(text, logits, model, temperature))

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
        from kfp_finetune.components.tasks.token_classification.scoring import score

        return score(predictions, train, model, data, split, with_texts=with_texts)


TASK = TokenClassification()
