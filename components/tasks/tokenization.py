"""Tokenize texts once, with the fast tokenizer, without padding."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
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
SAMPLED = 20  # texts of a batch whose words are counted
# A word or a punctuation mark; each character of a script that puts no spaces between words.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|[^\W_]+|[^\w\s]|_"
)


@dataclass(frozen=True)
class Tokens:
    """The token ids of a batch of examples, unpadded, one example after the other.

    Attributes:
        starts: Start of each example's ids, and the end of the last one's, int32, shape
            [examples + 1].
        input_ids: At most max_length of each example, including special tokens, int32.
        token_type_ids: 0 for the first text and 1 for the second; None if the model does not use
            them.
    """

    starts: NDArray[np.int32]
    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int32] | None


@dataclass(frozen=True)
class Examples:
    """The examples of a batch of rows.

    Attributes:
        of_row: The row that each example comes from, int64, shape [examples].
        labels: The stored label of each.
        tokens: Their token ids.
        texts: Their stored texts, by column.
    """

    of_row: NDArray[np.int64]
    labels: Sequence[Any]
    tokens: Tokens
    texts: Sequence[list[Any]]


class RowTokenizer(ABC):
    """Tokenizes batches of rows in two steps, and counts tokens.

    The first step needs no Python and may overlap with other work.

    Args:
        tokenizer: A fast tokenizer.
        max_length: Tokens per example, including special tokens.

    Attributes:
        has_token_type_ids: Whether its examples have token type ids.
        lengths: The number of texts by their tokens before truncation.
        kept: Tokens kept, including special ones.
        unknown: The number of them that are unknown to the tokenizer.
    """

    has_token_type_ids = False

    def __init__(self, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        self._highest_id = highest_id(tokenizer)
        unknown = tokenizer.unk_token_id
        self._unknown = -1 if unknown is None else unknown  # no token has the id -1
        self.max_length = max_length
        self.lengths: NDArray[np.int64] = np.zeros(1, np.int64)
        self.kept = 0
        self.unknown = 0
        self._words = self._pieces = 0

    def joined_ids(self, lists: Iterable[Sequence[int]]) -> NDArray[np.int32]:
        """The token ids of several examples, one after the other.

        Raises:
            InputError: If one is not in the vocabulary: a tokenizer.json adds special tokens by ids
                that it gives itself.
        """
        return joined(lists, self._highest_id, "token")

    def count(self, lengths: NDArray[np.int64], input_ids: NDArray[np.int32]) -> None:
        """Count the tokens of texts.

        Args:
            lengths: Tokens of each text before truncation, shape [texts].
            input_ids: The tokens that are kept of all texts.
        """
        self.kept += len(input_ids)
        self.unknown += int(np.count_nonzero(input_ids == self._unknown))
        lengths = np.minimum(lengths, _LONGEST_COUNTED)
        counts = np.bincount(lengths, minlength=len(self.lengths))
        counts[: len(self.lengths)] += self.lengths
        self.lengths = counts

    def count_words(self, texts: Sequence[str], pieces: int) -> None:
        """Count the words of an example of the sample.

        Args:
            texts: Its texts, or its words.
            pieces: Its tokens, without special ones.
        """
        self._words += sum(len(_WORD.findall(text)) for text in texts)
        self._pieces += pieces

    @property
    def pieces_per_word(self) -> float | None:
        """Tokens per word of the sample, without special ones; None without words."""
        return self._pieces / self._words if self._words else None

    @property
    def notes(self) -> Sequence[str]:
        """Notes for the data report, as sentences."""
        return ()

    @property
    def truncated_share(self) -> float:
        """The share of texts that were truncated."""
        total = int(self.lengths.sum())
        return float(self.lengths[self.max_length + 1 :].sum() / total) if total else 0.0

    @property
    def longest(self) -> int:
        """The tokens of the longest text before truncation; 0 without texts."""
        return int(np.flatnonzero(self.lengths).max(initial=0))

    def percentile(self, share: float) -> int:
        """The smallest number of tokens that is enough for at least this share of the texts."""
        cumulated = np.cumsum(self.lengths)
        return int(np.searchsorted(cumulated, share * cumulated[-1]))

    @abstractmethod
    def encode(self, texts: Sequence[list[Any]], labels: Sequence[Any] = ()) -> list[Any]:
        """Tokenize one batch; may be called from several threads at a time.

        Args:
            texts: The texts, by column.
            labels: The labels as the data has them; empty without labels.
        """

    @abstractmethod
    def examples(
        self, encoded: list[Any], texts: Sequence[list[Any]], labels: Sequence[Any]
    ) -> Examples:
        """The examples of a batch.

        Args:
            encoded: As `encode` returns it.
            texts: The texts, by column.
            labels: The target of each row.
        """


class TextTokenizer(RowTokenizer):
    """Tokenizes batches of texts, or of pairs of texts, on all processors.

    Args:
        tokenizer: A fast tokenizer. Its backend is used directly: the same ids as calling it,
            without building Python objects that are thrown away.
        max_length: Tokens per example, including special tokens; of a pair, the longer text is
            truncated first.
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
        # For single texts they would all be 0, the default of the models.
        self.has_token_type_ids = pairs and "token_type_ids" in tokenizer.model_input_names

    def encode(self, texts: Sequence[list[str]], labels: Sequence[Any] = ()) -> list[Any]:
        """Tokenize one batch; may be called from several threads at a time.

        Args:
            texts: One list of texts, or two of the same length.
            labels: Not used.
        """
        inputs: list[Any] = texts[0] if len(texts) == 1 else list(zip(*texts, strict=True))
        with panics_as(cannot_tokenize):
            encodings: list[Any] = self._backend.encode_batch_fast(inputs)
        return encodings

    def tokens(self, encodings: list[Any]) -> Tokens:
        """The token ids of an encoded batch, which are also counted."""
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        tokens = Tokens(
            starts=starts_of(lengths),
            input_ids=self.joined_ids(ids),
            token_type_ids=joined((encoding.type_ids for encoding in encodings), 1, "token type")
            if self.has_token_type_ids
            else None,
        )
        for i in np.flatnonzero(lengths >= self.max_length):
            lengths[i] += sum(len(piece.ids) - self._special for piece in encodings[i].overflowing)
        self.count(lengths, tokens.input_ids)
        return tokens

    def _sample(self, encodings: list[Any], texts: Sequence[list[str]]) -> None:
        """Count the words of the first texts of a batch, except of truncated ones."""
        for encoding, *of_row in zip(encodings[:SAMPLED], *texts, strict=False):
            if len(encoding.ids) < self.max_length:
                self.count_words(of_row, len(encoding.ids) - self._special)

    def examples(
        self, encoded: list[Any], texts: Sequence[list[Any]], labels: Sequence[Any]
    ) -> Examples:
        """The examples of a batch, one per row.

        Args:
            encoded: As `encode` returns it.
            texts: The texts, by column.
            labels: The target of each row.
        """
        self._sample(encoded, texts)
        return Examples(np.arange(len(encoded)), labels, self.tokens(encoded), texts)


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.int32]:
    """The start of each of several joined lists, and the end of the last one."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def joined(lists: Iterable[Sequence[int]], highest: int, kind: str) -> NDArray[np.int32]:
    """All ids of several lists.

    Args:
        lists: The ids.
        highest: The highest that the model may see.
        kind: "token" or "token type", for the message.

    Raises:
        InputError: If an id is higher.
    """
    # Ten times as fast as letting Arrow look at every list.
    ids = np.fromiter(chain.from_iterable(lists), np.int64)
    if (found := int(ids.max(initial=0))) > highest:
        raise InputError(
            f"the tokenizer gives the {kind} id {found}, and the highest is {highest}",
            where="the post-processor in tokenizer.json",
            expected=f"{kind} ids from 0 to {highest}",
            remedy="download or copy the tokenizer's files again",
        )
    return ids.astype(np.int32)


def highest_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """The highest token id of a vocabulary; the number of tokens is lower if ids are unused."""
    highest: int = max(tokenizer.get_vocab().values())
    return highest


def check_max_length(
    max_length: int, longest: int | None, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Check that the model takes this many tokens.

    Args:
        max_length: Tokens per example.
        longest: The maximum of the model; None: it has none.
        tokenizer: The model's tokenizer.

    Raises:
        InputError: If there are too few or too many.
    """
    smallest = tokenizer.num_special_tokens_to_add(pair=True) + 1
    if not smallest <= max_length <= (longest or max_length):
        raise InputError(
            f"max_length is {max_length}",
            where="max_length",
            expected=f"{smallest} to {longest} tokens, the limits of the model"
            if longest
            else f"at least {smallest} tokens",
            remedy=f"--max-length {min(longest or 128, 128)}",
        )
