"""Texts to token ids: once, with the fast tokenizer, without padding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

# Families whose first position is the one after the padding token's id, as in fairseq.
_POSITIONS_AFTER_PADDING = ("camembert", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta")
_LONGEST_COUNTED = 100_000


@dataclass(frozen=True)
class Tokens:
    """The token ids of a batch of texts, unpadded, one text after the other.

    Attributes:
        starts: Where each text's ids start, and where the last one's end, int32, shape [texts + 1].
        input_ids: At most max_length of each text, special tokens included, int32.
        token_type_ids: 0 for the first text and 1 for the second; None where the model has no use
            for them.
    """

    starts: NDArray[np.int32]
    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int32] | None


class Tokenize:
    """Tokenizes batches of texts, or of pairs of texts, on all processors.

    In two steps, for the first needs no Python and can go on while others run.

    Args:
        tokenizer: A fast tokenizer. Its backend is used directly: the same ids as calling it,
            without building Python objects that are thrown away.
        max_length: Tokens per example, special tokens included; of a pair, the longer text is cut
            first.
        pairs: Whether there are pairs.

    Attributes:
        lengths: How many texts had so many tokens before they were cut, by number of tokens.
        kept: Tokens kept, special ones included.
        unknown: How many of them the tokenizer does not know.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, max_length: int, *, pairs: bool = False
    ) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_padding()
        self._backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
        self._special = tokenizer.num_special_tokens_to_add(pair=pairs)
        unknown = tokenizer.unk_token_id
        self._unknown = -1 if unknown is None else unknown  # no token has the id -1
        # For single texts they would be all 0, which is what models take for granted.
        self.has_token_type_ids = pairs and "token_type_ids" in tokenizer.model_input_names
        self.max_length = max_length
        self.lengths: NDArray[np.int64] = np.zeros(1, np.int64)
        self.kept = 0
        self.unknown = 0

    def encode(self, texts: list[str], text_pairs: list[str] | None = None) -> list[Any]:
        """Let the backend work on one batch; safe to call from several threads at a time."""
        inputs: list[Any] = (
            texts if text_pairs is None else list(zip(texts, text_pairs, strict=True))
        )
        encodings: list[Any] = self._backend.encode_batch_fast(inputs)
        return encodings

    def tokens(self, encodings: list[Any]) -> Tokens:
        """Take the ids out of what `encode` made of a batch, and count them."""
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        tokens = Tokens(
            starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
            input_ids=_joined(ids),
            token_type_ids=_joined(encoding.type_ids for encoding in encodings)
            if self.has_token_type_ids
            else None,
        )
        self.kept += len(tokens.input_ids)
        self.unknown += int(np.count_nonzero(tokens.input_ids == self._unknown))
        for i in np.flatnonzero(lengths >= self.max_length):
            rest = (len(piece.ids) - self._special for piece in encodings[i].overflowing)
            lengths[i] = min(lengths[i] + sum(rest), _LONGEST_COUNTED)
        counts = np.bincount(lengths, minlength=len(self.lengths))
        counts[: len(self.lengths)] += self.lengths
        self.lengths = counts
        return tokens

    def share_longer_than(self, length: int) -> float:
        """The share of texts with more tokens than that."""
        total = int(self.lengths.sum())
        return float(self.lengths[length + 1 :].sum() / total) if total else 0.0

    def percentile(self, share: float) -> int:
        """The smallest number of tokens that at least this share of the texts stays within."""
        cumulated = np.cumsum(self.lengths)
        return int(np.searchsorted(cumulated, share * cumulated[-1]))


def _joined(lists: Iterable[list[int]]) -> NDArray[np.int32]:
    # Ten times as fast as letting Arrow look at every list.
    return np.fromiter(chain.from_iterable(lists), np.int32)


def check_max_length(
    max_length: int, config: dict[str, Any], tokenizer: PreTrainedTokenizerFast
) -> None:
    """Check that a model takes so many tokens.

    Args:
        max_length: Tokens per example.
        config: The model's config.json.
        tokenizer: The model's tokenizer.

    Raises:
        InputError: If it does not.
    """
    positions = config.get("max_position_embeddings") or tokenizer.model_max_length
    if config["model_type"] in _POSITIONS_AFTER_PADDING:
        positions -= tokenizer.pad_token_id + 1
    limit = min(positions, tokenizer.model_max_length)
    smallest = tokenizer.num_special_tokens_to_add(pair=True) + 1
    if not smallest <= max_length <= limit:
        raise InputError(
            f"max_length is {max_length}",
            where="max_length",
            expected=f"{smallest} to {limit} tokens, which is what the model takes",
            remedy=f"--max-length {min(limit, 128)}",
        )
