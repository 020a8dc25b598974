"""A trained model as a function: texts in, what it says of them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerFast, TFPreTrainedModel

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import models
from kfp_finetune.components.finetune.inputs import padded_width
from kfp_finetune.components.load_data.pretrained import load_tokenizer
from kfp_finetune.components.tasks import get_task
from kfp_finetune.components.tasks.predictions import Prediction
from kfp_finetune.components.tasks.tokenization import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

Input = str | tuple[str, str] | list[str]
BATCH_SIZE = 32
# Texts are sorted by length within so many batches: little padding, and little memory.
_BATCHES_AT_A_TIME = 32


class Predictor:
    """Predicts with a model that finetune wrote.

    Args:
        network: The model.
        tokenizer: Its tokenizer.
        manifest: What finetune says of it.
        temperature: What logits are divided by before softmax; 1 leaves them as they are.
    """

    def __init__(
        self,
        network: TFPreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        manifest: ModelManifest,
        temperature: float,
    ) -> None:
        self.network = network
        self.manifest = manifest
        self.pairs = manifest.text_pair_column is not None
        self._temperature = temperature
        self._forward = models.forward(network)
        self._pad = tokenizer.pad_token_id
        self._task = get_task(manifest.task)
        self._tokenize = self._task.tokenize(tokenizer, manifest.max_length, pairs=self.pairs)

    @classmethod
    def load(cls, path: str | Path, *, calibrated: bool = True) -> Predictor:
        """Load a model from its folder.

        Args:
            path: What finetune wrote.
            calibrated: Whether probabilities are made with the temperature that was fitted on the
                validation split.

        Raises:
            InputError: If the folder is no such model, or a file of it is damaged.
        """
        folder = Path(path)
        manifest = model_artifact.read(folder)
        network, tokenizer = models.load_trained(folder, manifest), load_tokenizer(folder)
        return cls(network, tokenizer, manifest, manifest.temperature if calibrated else 1.0)

    @overload  # a text is a sequence of texts, too: that it is one comes first
    def __call__(  # type: ignore[overload-overlap]
        self, texts: str | tuple[str, str], batch_size: int = ...
    ) -> Prediction: ...

    @overload
    def __call__(self, texts: Sequence[Input], batch_size: int = ...) -> list[Prediction]: ...

    def __call__(
        self, texts: str | Sequence[Input], batch_size: int = BATCH_SIZE
    ) -> Prediction | list[Prediction]:
        """Predict for texts, for pairs of them if the model was trained on pairs.

        A model that was trained on words takes lists of words, too; it cuts texts into words.

        Args:
            texts: In any order; they are cut, or divided, at the length that the model was trained
                with. Or one text, or one pair as a tuple.
            batch_size: Texts per batch.

        Returns:
            A prediction per text, in their order; of one text or pair its prediction.

        Raises:
            InputError: If one is not what the model reads.
        """
        if self._is_one(texts):
            return next(prediction for _, prediction in self.stream([texts]))  # type: ignore[list-item]
        return [prediction for _, prediction in self.stream(texts, batch_size)]

    def _is_one(self, texts: Any) -> bool:
        """Whether it is one text or pair; a text is a sequence of characters, too."""
        if isinstance(texts, str):
            return True
        pair = self.pairs and isinstance(texts, tuple) and len(texts) == 2
        return pair and all(isinstance(text, str) for text in texts)

    def stream(
        self, texts: Iterable[Input], batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[Input, Prediction]]:
        """The same for any number of texts, of which few are in memory at a time.

        Yields:
            Each text and its prediction.
        """
        texts = [texts] if self._is_one(texts) else texts  # type: ignore[list-item]
        remaining = iter(texts)
        done = 0
        while window := list(islice(remaining, batch_size * _BATCHES_AT_A_TIME)):
            for number, text in enumerate(window, start=done + 1):
                self._check(text, number)
            for text, logits in zip(window, self.logits(window, batch_size), strict=True):
                yield text, self._task.answer(text, logits, self.manifest, self._temperature)
            done += len(window)

    def logits(
        self, texts: Sequence[Input], batch_size: int = BATCH_SIZE
    ) -> list[NDArray[np.float32]]:
        """The model's outputs for each text, before temperature and softmax.

        Returns:
            Of each text an array of shape [1, outputs]; of a model for words [words, outputs].
        """
        texts = [texts] if self._is_one(texts) else texts  # type: ignore[list-item]
        columns = self._task.columns_of(texts, pairs=self.pairs)
        encoded = self._tokenize.encode(columns)
        examples = self._tokenize.examples(encoded, columns, [None] * len(texts))
        order = np.argsort(np.diff(examples.tokens.starts), kind="stable")
        found: list[list[NDArray[np.float32]]] = [[] for _ in texts]
        of_example: dict[int, NDArray[np.float32]] = {}
        for at in range(0, len(order), batch_size):
            rows = order[at : at + batch_size]
            answers = self._forward(self._features(examples.tokens, rows)).numpy()
            for row, logits in zip(rows.tolist(), answers, strict=True):
                of_example[row] = self._task.outputs(logits, examples.labels[row])
        for row, text in enumerate(examples.of_row.tolist()):
            found[text].append(of_example[row])
        return [np.concatenate(parts) for parts in found]

    def _features(self, tokens: Tokens, rows: NDArray[np.int64]) -> dict[str, tf.Tensor]:
        """One padded batch, int32, shape [rows, width]."""
        lengths = np.diff(tokens.starts)[rows]
        width = padded_width(int(lengths.max()))
        mask = np.arange(width) < lengths[:, np.newaxis]
        # Where each row's tokens are among all; what stands on padding is overwritten.
        places = np.where(mask, tokens.starts[rows, np.newaxis] + np.arange(width), 0)
        features = {
            "input_ids": np.where(mask, tokens.input_ids[places], self._pad),
            "attention_mask": mask,
        }
        if tokens.token_type_ids is not None:
            features["token_type_ids"] = np.where(mask, tokens.token_type_ids[places], 0)
        return {name: tf.constant(value, tf.int32) for name, value in features.items()}

    def _check(self, text: Any, number: int) -> None:
        """Refuse what is no text, or no pair."""
        parts = text if self.pairs and isinstance(text, tuple) and len(text) == 2 else (text,)
        wrong = [self._task.what_is_no_text(part) for part in parts]
        if len(parts) != 1 + self.pairs or any(wrong):
            raise InputError(
                wrong[0] if len(parts) == 1 and wrong[0] else f"{text!r} is not a text",
                where=f"text {number:,}",
                expected="two texts, as the model was trained on pairs" if self.pairs else "a text",
                remedy="leave it out, or give what the model is to read",
            )
