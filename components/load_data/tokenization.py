"""Texts to token ids: once, with the fast tokenizer, without padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Families whose first position is the one after the padding token's id, as in fairseq.
_POSITIONS_AFTER_PADDING = ("camembert", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta")


@dataclass(frozen=True)
class Tokens:
    """The token ids of a batch of texts, unpadded.

    Attributes:
        input_ids: One list per text, at most max_length long, special tokens included.
        token_type_ids: 0 for the first text and 1 for the second; None where the model has no use
            for them.
        truncated: How many texts were cut at max_length.
    """

    input_ids: list[list[int]]
    token_type_ids: list[list[int]] | None
    truncated: int


class Tokenize:
    """Tokenizes batches of texts, or of pairs of texts, on all processors.

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
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_padding()
        self._backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
        # For single texts they would be all 0, which is what models take for granted.
        self.has_token_type_ids = pairs and "token_type_ids" in tokenizer.model_input_names

    def __call__(self, texts: list[str], text_pairs: list[str] | None = None) -> Tokens:
        """Tokenize one batch."""
        inputs: list[Any] = (
            texts if text_pairs is None else list(zip(texts, text_pairs, strict=True))
        )
        encodings = self._backend.encode_batch_fast(inputs)
        return Tokens(
            input_ids=[encoding.ids for encoding in encodings],
            token_type_ids=[encoding.type_ids for encoding in encodings]
            if self.has_token_type_ids
            else None,
            truncated=sum(bool(encoding.overflowing) for encoding in encodings),
        )


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
