"""A trained model as a function from texts to predictions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerFast

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.forward import Forward
from kfp_finetune.components.finetune.inputs import batches_of, padded_width
from kfp_finetune.components.load_data.pretrained import load_tokenizer
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.loading import load_trained
from kfp_finetune.components.tasks.predictions import Prediction
from kfp_finetune.components.tasks.registry import get_task
from kfp_finetune.components.tasks.tokenization import Examples, Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

Input = str | tuple[str, str] | list[str]
BATCH_SIZE = 32
# Texts are sorted by length within this many batches: little padding, and little memory.
_BATCHES_AT_A_TIME = 32


class Predictor:
    """Predicts with a model that finetune wrote.

    Args:
        network: The model.
        tokenizer: Its tokenizer.
        manifest: Its manifest.
        temperature: Logits are divided by it before softmax; 1 leaves them unchanged.
        precision: Precision of matrix products, as in `Forward`.
    """

    def __init__(
        self,
        network: Classifier,
        tokenizer: PreTrainedTokenizerFast,
        manifest: ModelManifest,
        temperature: float,
        precision: str = "float32",
    ) -> None:
        self.network = network
        self.manifest = manifest
        self.pairs = manifest.text_pair_column is not None
        self._temperature = temperature
        self._forward = Forward(network, precision)
        self._pad = tokenizer.pad_token_id
        self._task = get_task(manifest.task)
        self._tokenize = self._task.row_tokenizer(tokenizer, manifest.max_length, pairs=self.pairs)

    @classmethod
    def load(
        cls, path: str | Path, *, calibrated: bool = True, precision: str = "float32"
    ) -> Predictor:
        """Load a model from its folder.

        Args:
            path: The folder that finetune wrote.
            calibrated: Whether to apply the temperature that was fitted on the validation split.
            precision: Precision of matrix products, as in `Forward`.

        Raises:
            InputError: If the folder is not such a model, or one of its files is damaged.
        """
        folder = Path(path)
        manifest = model_artifact.read(folder)
        network, tokenizer = load_trained(folder, manifest), load_tokenizer(folder)
        temperature = manifest.temperature if calibrated else 1.0
        return cls(network, tokenizer, manifest, temperature, precision)

    @overload  # first, because a text is also a sequence of texts
    def __call__(  # type: ignore[overload-overlap]
        self, texts: str | tuple[str, str], batch_size: int = ...
    ) -> Prediction: ...

    @overload
    def __call__(self, texts: Sequence[Input], batch_size: int = ...) -> list[Prediction]: ...

    def __call__(
        self, texts: str | Sequence[Input], batch_size: int = BATCH_SIZE
    ) -> Prediction | list[Prediction]:
        """Predict for texts, or for pairs of texts if the model was trained on pairs.

        A model that was trained on words also takes lists of words; it splits texts into words.

        Args:
            texts: One text, one pair as a tuple, or a sequence of them. Long texts are truncated or
                divided at the length that the model was trained with.
            batch_size: Texts per batch.

        Returns:
            A prediction per text, in order; for one text or pair its prediction.

        Raises:
            InputError: If one is not a text that the model reads.
        """
        if self._is_one(texts):
            return next(prediction for _, prediction in self.stream([texts]))  # type: ignore[list-item]
        return [prediction for _, prediction in self.stream(texts, batch_size)]

    def _is_one(self, texts: Any) -> bool:
        """Return True if this is one text or pair; a text is also a sequence of characters."""
        if isinstance(texts, str):
            return True
        pair = self.pairs and isinstance(texts, tuple) and len(texts) == 2
        return pair and all(isinstance(text, str) for text in texts)

    def stream(
        self, texts: Iterable[Input], batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[Input, Prediction]]:
        """Predict for any number of texts, few of which are in memory at a time.

        Yields:
            Each text and its prediction.
        """
        texts = [texts] if self._is_one(texts) else texts  # type: ignore[list-item]
        for window, examples in self._tokenized(iter(texts), batch_size * _BATCHES_AT_A_TIME):
            logits = self._logits(examples.result(), len(window), batch_size)
            for text, outputs in zip(window, logits, strict=True):
                yield text, self._task.answer(text, outputs, self.manifest, self._temperature)

    def logits(
        self, texts: Sequence[Input], batch_size: int = BATCH_SIZE
    ) -> list[NDArray[np.float32]]:
        """The model's outputs for each text, before temperature and softmax.

        Returns:
            For each text an array of shape [1, outputs], or [words, outputs] if words have labels.
        """
        texts = [texts] if self._is_one(texts) else texts  # type: ignore[list-item]
        return self._logits(self._examples(texts), len(texts), batch_size)

    def _tokenized(
        self, texts: Iterator[Input], size: int
    ) -> Iterator[tuple[list[Input], Future[Examples]]]:
        """Texts in groups of this size; the next group is tokenized while the caller works."""
        waiting: deque[tuple[list[Input], Future[Examples]]] = deque()
        with ThreadPoolExecutor(1) as tokenizer:
            try:
                for window in self._checked(texts, size):
                    waiting.append((window, tokenizer.submit(self._examples, window)))
                    if len(waiting) == 2:
                        yield waiting.popleft()
            except InputError:
                yield from waiting
                raise
            yield from waiting

    def _checked(self, texts: Iterator[Input], size: int) -> Iterator[list[Input]]:
        """Texts in groups of this size.

        Raises:
            InputError: At a text that the model cannot read.
        """
        done = 0
        while window := list(islice(texts, size)):
            for number, text in enumerate(window, start=done + 1):
                self._check(text, number)
            yield window
            done += len(window)

    def _examples(self, texts: Sequence[Input]) -> Examples:
        """Tokenize texts."""
        columns = self._task.columns_of(texts, pairs=self.pairs)
        encoded = self._tokenize.encode(columns)
        return self._tokenize.examples(encoded, columns, [None] * len(texts))

    def _logits(self, examples: Examples, count: int, batch_size: int) -> list[NDArray[np.float32]]:
        """The outputs for each of `count` texts, each of which has one or more examples."""
        lengths = np.diff(examples.tokens.starts)
        order = np.argsort(lengths, kind="stable")
        self._forward.choose(len(order), lambda part: self._features(examples.tokens, order[part]))
        found: list[list[NDArray[np.float32]]] = [[] for _ in range(count)]
        of_example: dict[int, NDArray[np.float32]] = {}
        for part in batches_of(lengths[order], batch_size):
            rows = order[part]
            answers = self._forward(self._features(examples.tokens, rows))
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
        # The positions of each row's tokens among all; those of padding are overwritten.
        places = np.where(mask, tokens.starts[rows, np.newaxis] + np.arange(width), 0)
        features = {
            "input_ids": np.where(mask, tokens.input_ids[places], self._pad),
            "attention_mask": mask,
        }
        if tokens.token_type_ids is not None:
            features["token_type_ids"] = np.where(mask, tokens.token_type_ids[places], 0)
        return {name: tf.constant(value, tf.int32) for name, value in features.items()}

    def _check(self, text: Any, number: int) -> None:
        """Refuse a value that is not a text, or not a pair of texts."""
        parts = text if self.pairs and isinstance(text, tuple) and len(text) == 2 else (text,)
        wrong = [self._task.text_problem(part) for part in parts]
        if len(parts) != 1 + self.pairs or any(wrong):
            raise InputError(
                wrong[0] if len(parts) == 1 and wrong[0] else f"{text!r} is not a text",
                where=f"text {number:,}",
                expected="two texts: the model was trained on pairs" if self.pairs else "a text",
                remedy="omit it, or give a text",
            )
