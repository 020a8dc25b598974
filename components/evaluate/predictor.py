"""A trained model as a function: texts in, labels with probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from scipy.special import expit, softmax
from transformers import PreTrainedTokenizerFast, TFPreTrainedModel

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import models
from kfp_finetune.components.finetune.inputs import padded_width
from kfp_finetune.components.load_data.pretrained import load_tokenizer
from kfp_finetune.components.load_data.tokenization import Tokenize, Tokens
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION

if TYPE_CHECKING:
    from numpy.typing import NDArray

Input = str | tuple[str, str]
BATCH_SIZE = 32
# Texts are sorted by length within so many batches: little padding, and little memory.
_BATCHES_AT_A_TIME = 32


@dataclass(frozen=True)
class Prediction:
    """What a model says of one text.

    Attributes:
        labels: The most probable label; of a model for several labels, those above their
            thresholds, the most probable first; of one for numbers none.
        probabilities: Of every label, the most probable first; of a model for numbers empty.
        value: The number, of a model for numbers.
    """

    labels: tuple[str, ...] = ()
    probabilities: dict[str, float] = field(default_factory=dict)
    value: float | None = None


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
        self._tokenize = Tokenize(tokenizer, manifest.max_length, pairs=self.pairs)

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

    def __call__(self, texts: Sequence[Input], batch_size: int = BATCH_SIZE) -> list[Prediction]:
        """Predict for texts, or for pairs of texts if the model was trained on pairs.

        Args:
            texts: In any order; they are cut at the length that the model was trained with.
            batch_size: Texts per batch.

        Returns:
            A prediction per text, in their order.

        Raises:
            InputError: If one is not what the model reads.
        """
        return [prediction for _, prediction in self.stream(texts, batch_size)]

    def stream(
        self, texts: Iterable[Input], batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[Input, Prediction]]:
        """The same for any number of texts, of which few are in memory at a time.

        Yields:
            Each text and its prediction.
        """
        remaining = iter(texts)
        done = 0
        while window := list(islice(remaining, batch_size * _BATCHES_AT_A_TIME)):
            for number, text in enumerate(window, start=done + 1):
                self._check(text, number)
            predictions = map(self._prediction, self.logits(window, batch_size))
            yield from zip(window, predictions, strict=True)
            done += len(window)

    def logits(self, texts: Sequence[Input], batch_size: int = BATCH_SIZE) -> NDArray[np.float32]:
        """The model's outputs, before temperature and softmax, shape [texts, outputs]."""
        firsts: list[Any] = list(texts)
        seconds = None
        if self.pairs:
            firsts, seconds = map(list, zip(*texts, strict=True))
        tokens = self._tokenize.tokens(self._tokenize.encode(firsts, seconds))
        lengths = np.diff(tokens.starts)
        order = np.argsort(lengths, kind="stable")
        logits = np.zeros((len(texts), self.network.config.num_labels), np.float32)
        for at in range(0, len(order), batch_size):
            rows = order[at : at + batch_size]
            logits[rows] = self._forward(self._features(tokens, rows)).numpy()
        return logits

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

    def _prediction(self, logits: NDArray[np.float32]) -> Prediction:
        problem_type, names = self.manifest.problem_type, self.manifest.label_names
        if problem_type == REGRESSION:
            return Prediction(value=float(logits[0]))
        scores = logits.astype(np.float64)
        if problem_type == MULTI_LABEL:
            probabilities = expit(scores)
            thresholds = self.manifest.thresholds or [0.5] * len(names)
        else:
            probabilities = softmax(scores / self._temperature)
        order = np.argsort(-probabilities, kind="stable")
        given = (
            [i for i in order if probabilities[i] > thresholds[i]]
            if problem_type == MULTI_LABEL
            else order[:1]
        )
        return Prediction(
            labels=tuple(names[i] for i in given),
            probabilities={names[i]: float(probabilities[i]) for i in order},
        )

    def _check(self, text: Any, number: int) -> None:
        """Refuse what is no text, or no pair."""
        parts = text if self.pairs and isinstance(text, tuple) and len(text) == 2 else (text,)
        if len(parts) != 1 + self.pairs or not all(isinstance(p, str) and p.strip() for p in parts):
            raise InputError(
                "there is no text" if text is None or text == "" else f"{text!r} is not a text",
                where=f"text {number:,}",
                expected="two texts, as the model was trained on pairs" if self.pairs else "a text",
                remedy="leave it out, or give what the model is to read",
            )
