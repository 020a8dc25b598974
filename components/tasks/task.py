"""A task: everything that differs between kinds of labels, behind one typed interface.

Importing a task needs neither numpy nor TensorFlow: its methods import the modules they need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kfp_finetune.components.tasks.declaration import TaskDeclaration

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
    from kfp_finetune.components.tasks.tokenization import RowTokenizer
    from kfp_finetune.components.tasks.values import LabelValues


class TokenLabels(Protocol):
    """The labels of a split in which every word has one, to be gathered into batches."""

    def batch(
        self, indices: NDArray[np.int64], width: int, *, all_tokens: bool = False
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Labels and weights of a batch, both of shape [batch, width]."""
        ...

    def gather(
        self, outputs: NDArray[np.float32], indices: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The numbers of the batch's words in the split, and the outputs for each of them."""
        ...


class Task(TaskDeclaration, ABC):
    """One task: its declarations, and the methods that do the work."""

    # From rows to examples.

    def check_columns(self, labels: Sequence[str], text_pair: str | None) -> None:
        """Check how many columns of texts and labels there are.

        Raises:
            InputError: If there are more than the task takes.
        """
        self.check_pair(text_pair)

    @abstractmethod
    def label_values(self, known: Sequence[str], *, repair: bool) -> LabelValues:
        """The collection that numbers the labels of the rows as they are read.

        Args:
            known: The names that whole numbers refer to.
            repair: Whether rows are repaired where possible.
        """

    @abstractmethod
    def understand_labels(
        self, values: LabelValues, problem_type: str, context: LabelContext
    ) -> Labels:
        """Find the problem type and the label names.

        Args:
            values: The labels of all rows.
            problem_type: One of the task's, or "auto".
            context: Where the labels come from.

        Raises:
            InputError: If a value cannot be a label of that type, or is not a known label.
        """

    @abstractmethod
    def row_tokenizer(
        self,
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        *,
        pairs: bool = False,
        labels: Labels | None = None,
    ) -> RowTokenizer:
        """The tokenizer that turns rows into examples.

        Args:
            tokenizer: The model's.
            max_length: Tokens per example.
            pairs: Whether a row has two texts.
            labels: The meaning of the labels; None if rows have no labels.
        """

    @abstractmethod
    def label_type(self, problem_type: str) -> pa.DataType:
        """The Arrow type of stored labels."""

    @abstractmethod
    def text_type(self) -> pa.DataType:
        """The Arrow type of stored texts."""

    @abstractmethod
    def label_text(self, label: Any, names: Sequence[str], text: Any) -> str:
        """A stored label in words."""

    # From examples to a model.

    @abstractmethod
    def targets(
        self, column: pa.ChunkedArray, problem_type: str, label_names: Sequence[str]
    ) -> NDArray[Any]:
        """Stored labels in the form that the loss takes; first dimension rows, or words."""

    def token_labels(
        self, column: pa.ChunkedArray, label_names: Sequence[str]
    ) -> TokenLabels | None:
        """The labels of every token; None if a row has one target."""
        return None

    @abstractmethod
    def loss(self, problem_type: str) -> Any:
        """The Keras loss of logits that is measured, and minimized unless `training_loss` is given.

        Args:
            problem_type: One of the task's.
        """

    @abstractmethod
    def training_loss(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> Any:
        """The Keras loss that training minimizes instead of `loss`; None for `loss` itself.

        Args:
            problem_type: One of the task's.
            parameters: The parameters of the loss, as `LossParameters.problems` allows them.
            targets: The targets of the training split, as `targets` returns them.
            label_names: The label of id i is `label_names[i]`.
        """

    @abstractmethod
    def constant_loss(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> float:
        """The training loss of the best constant answer: what is reached without reading a text.

        With a focal loss it is that of answering the weighted label frequencies, an upper bound.

        Args:
            problem_type: One of the task's.
            parameters: As `training_loss` takes them.
            targets: The targets of the training split, as `targets` returns them; at least one.
            label_names: As `training_loss` takes it.
        """

    @abstractmethod
    def constant_logits(
        self,
        problem_type: str,
        parameters: LossParameters,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> NDArray[np.float32]:
        """The logits of the answer that `constant_loss` is the loss of, shape [outputs].

        A label without an example counts as if it had half of one, so that its logit is finite.

        Args:
            problem_type: One of the task's.
            parameters: As `training_loss` takes them.
            targets: The targets of the training split, as `targets` returns them; at least one.
            label_names: As `training_loss` takes it.
        """

    @abstractmethod
    def counts_and_weights(
        self,
        problem_type: str,
        class_weights: str,
        targets: NDArray[Any],
        label_names: Sequence[str],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The training examples and the weight of every label.

        Args:
            problem_type: One of the task's; one that predicts labels.
            class_weights: As in `LossParameters`.
            targets: The targets of the training split, as `targets` returns them.
            label_names: The label of id i is `label_names[i]`.

        Returns:
            Examples, or words, with the label, and its weight in the training loss; both of shape
            [labels].
        """

    @abstractmethod
    def training_metrics(
        self, problem_type: str, label_names: Sequence[str], positive_label: str | None = None
    ) -> list[Any]:
        """Keras metrics for the problem type's `measured_in_training`, in their order.

        Args:
            problem_type: One of the task's.
            label_names: The label of id i is `label_names[i]`.
            positive_label: The positive one of two labels; None if there is none.
        """

    @abstractmethod
    def calibrate(
        self, problem_type: str, labels: NDArray[Any], logits: NDArray[np.float32]
    ) -> Fitted:
        """Fit the temperature or the thresholds on the validation split; deterministic.

        Args:
            problem_type: One of the task's.
            labels: As `targets` returns them; at least one.
            logits: Shape [rows, labels], or [words, labels].
        """

    @abstractmethod
    def tally(
        self,
        problem_type: str,
        predictions: Predictions,
        label_names: Sequence[str],
        positive_label: str | None = None,
    ) -> Tally:
        """The scores of any weighting of the examples, as validation measures them in training.

        Args:
            problem_type: One of the task's.
            predictions: The predictions of a split.
            label_names: The label of id i is `label_names[i]`.
            positive_label: The positive one of two labels; None if there is none.
        """

    # From logits to predictions and metrics.

    @abstractmethod
    def text_problem(self, text: Any) -> str:
        """Why a text cannot be predicted for; empty if it can."""

    @abstractmethod
    def columns_of(self, texts: Sequence[Any], *, pairs: bool) -> list[list[Any]]:
        """Texts, or pairs of texts, as the columns that the row tokenizer takes."""

    @abstractmethod
    def outputs(self, logits: NDArray[np.float32], label: Any) -> NDArray[np.float32]:
        """The predictions among the logits of one example, shape [predictions, labels].

        Args:
            logits: The logits of the example.
            label: Its label, as the row tokenizer made it.
        """

    @abstractmethod
    def answer(
        self, text: Any, logits: NDArray[np.float32], model: ModelManifest, temperature: float
    ) -> Prediction:
        """The prediction for one text.

        Args:
            text: The text.
            logits: As `outputs` returns them, for all of its examples.
            model: The model's manifest.
            temperature: Logits are divided by it before softmax.
        """

    @abstractmethod
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
        """Measure a split: scores, slices and mistakes.

        Args:
            predictions: The predictions of the split.
            train: The training split; may be empty.
            model: The model's manifest.
            data: The manifest of the data.
            split: The split's name.
            with_texts: Whether mistakes are shown with their texts.

        Raises:
            InputError: If labels or logits cannot be measured, for example because a logit is not
                finite.
        """
