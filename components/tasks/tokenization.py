"""Texts to token ids: once, with the fast tokenizer, without padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.panics import cannot_tokenize, panics_as

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

_LONGEST_COUNTED = 100_000


@dataclass(frozen=True)
class Tokens:
    """The token ids of a batch of examples, unpadded, one example after the other.

    Attributes:
        starts: Where each one's ids start, and where the last one's end, int32, shape
            [examples + 1].
        input_ids: At most max_length of each example, special tokens included, int32.
        token_type_ids: 0 for the first text and 1 for the second; None where the model has no use
            for them.
    """

    starts: NDArray[np.int32]
    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int32] | None


@dataclass(frozen=True)
class Examples:
    """What is written of a batch of rows.

    Attributes:
        of_row: The row that each example is, or is a part of, int64, shape [examples].
        labels: What is stored as each one's label.
        tokens: Their token ids.
        texts: What is stored as their texts, by column.
    """

    of_row: NDArray[np.int64]
    labels: Sequence[Any]
    tokens: Tokens
    texts: Sequence[list[Any]]


class Counts:
    """How long texts are, and how many of their tokens are known.

    Args:
        tokenizer: A fast tokenizer.
        max_length: Tokens per example, special tokens included.

    Attributes:
        lengths: How many texts had so many tokens before they were cut, by number of tokens.
        kept: Tokens kept, special ones included.
        unknown: How many of them the tokenizer does not know.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        unknown = tokenizer.unk_token_id
        self._unknown = -1 if unknown is None else unknown  # no token has the id -1
        self.max_length = max_length
        self.lengths: NDArray[np.int64] = np.zeros(1, np.int64)
        self.kept = 0
        self.unknown = 0

    def count(self, lengths: NDArray[np.int64], input_ids: NDArray[np.int32]) -> None:
        """Count texts.

        Args:
            lengths: Tokens of each text before it is cut, shape [texts].
            input_ids: The tokens kept of all of them.
        """
        self.kept += len(input_ids)
        self.unknown += int(np.count_nonzero(input_ids == self._unknown))
        lengths = np.minimum(lengths, _LONGEST_COUNTED)
        counts = np.bincount(lengths, minlength=len(self.lengths))
        counts[: len(self.lengths)] += self.lengths
        self.lengths = counts

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know, as sentences."""
        return ()

    @property
    def truncated_share(self) -> float:
        """The share of texts that were cut."""
        total = int(self.lengths.sum())
        return float(self.lengths[self.max_length + 1 :].sum() / total) if total else 0.0

    def percentile(self, share: float) -> int:
        """The smallest number of tokens that at least this share of the texts stays within."""
        cumulated = np.cumsum(self.lengths)
        return int(np.searchsorted(cumulated, share * cumulated[-1]))


class Tokenize(Counts):
    """Tokenizes batches of texts, or of pairs of texts, on all processors.

    In two steps, for the first needs no Python and can go on while others run.

    Args:
        tokenizer: A fast tokenizer. Its backend is used directly: the same ids as calling it,
            without building Python objects that are thrown away.
        max_length: Tokens per example, special tokens included; of a pair, the longer text is cut
            first.
        pairs: Whether there are pairs.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, max_length: int, *, pairs: bool = False
    ) -> None:
        super().__init__(tokenizer, max_length)
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_padding()
        self._backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
        self._special = tokenizer.num_special_tokens_to_add(pair=pairs)
        # For single texts they would be all 0, which is what models take for granted.
        self.has_token_type_ids = pairs and "token_type_ids" in tokenizer.model_input_names

    def encode(self, texts: Sequence[list[str]], labels: Sequence[Any] = ()) -> list[Any]:
        """Let the backend work on one batch; safe to call from several threads at a time.

        Args:
            texts: One list of texts, or two of the same length.
            labels: Not used: a text's label does not depend on its tokens.
        """
        inputs: list[Any] = texts[0] if len(texts) == 1 else list(zip(*texts, strict=True))
        with panics_as(cannot_tokenize):
            encodings: list[Any] = self._backend.encode_batch_fast(inputs)
        return encodings

    def tokens(self, encodings: list[Any]) -> Tokens:
        """Take the ids out of what `encode` made of a batch, and count them."""
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        tokens = Tokens(
            starts=starts_of(lengths),
            input_ids=joined(ids),
            token_type_ids=joined(encoding.type_ids for encoding in encodings)
            if self.has_token_type_ids
            else None,
        )
        for i in np.flatnonzero(lengths >= self.max_length):
            lengths[i] += sum(len(piece.ids) - self._special for piece in encodings[i].overflowing)
        self.count(lengths, tokens.input_ids)
        return tokens

    def examples(
        self, encodings: list[Any], texts: Sequence[list[Any]], labels: Sequence[Any]
    ) -> Examples:
        """What is written of a batch: an example a row.

        Args:
            encodings: What `encode` made of it.
            texts: Its texts, by column.
            labels: What each row's label stands for.
        """
        return Examples(np.arange(len(encodings)), labels, self.tokens(encodings), texts)


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.int32]:
    """Where each of several lists starts, one after the other, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def joined(lists: Iterable[Sequence[int]]) -> NDArray[np.int32]:
    """All ids of several lists."""
    # Ten times as fast as letting Arrow look at every list.
    return np.fromiter(chain.from_iterable(lists), np.int32)


def check_max_length(max_length: int, longest: int, tokenizer: PreTrainedTokenizerFast) -> None:
    """Check that a model takes so many tokens.

    Args:
        max_length: Tokens per example.
        longest: The most that the model takes.
        tokenizer: The model's tokenizer.

    Raises:
        InputError: If it does not.
    """
    smallest = tokenizer.num_special_tokens_to_add(pair=True) + 1
    if not smallest <= max_length <= longest:
        raise InputError(
            f"max_length is {max_length}",
            where="max_length",
            expected=f"{smallest} to {longest} tokens, which is what the model takes",
            remedy=f"--max-length {min(longest, 128)}",
        )
