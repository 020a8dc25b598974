"""Sentences of words to token ids; a long sentence becomes several examples that overlap.

Each word is predicted once, from its first piece, in the example with the most context. The
predictions of a sentence's examples, one after the other, are therefore those of the sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.counts import counted
from kfp_finetune.components.model_folder.panics import cannot_tokenize, panics_as
from kfp_finetune.components.tasks.token_classification.word_labels import CONTINUED, IGNORED
from kfp_finetune.components.tasks.tokenization import (
    SAMPLED,
    Examples,
    RowTokenizer,
    Tokens,
    starts_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from kfp_finetune.components.tasks.labels import WordReader

# The share of an example that the next one of the sentence repeats.
_OVERLAP = 0.25


@dataclass(frozen=True)
class Example:
    """A sentence, or a part of one.

    Attributes:
        words: The words that are predicted in this example.
        ids: Token ids, including special ones.
        labels: For the first piece of each of these words its label; `CONTINUED` for its other
            pieces; `IGNORED` for all other tokens.
    """

    words: list[str]
    ids: NDArray[np.int64]
    labels: NDArray[np.int32]


class WordTokenizer(RowTokenizer):
    """Tokenizes sentences that are lists of words.

    Args:
        tokenizer: A fast tokenizer.
        max_length: Tokens per example, including special ones.
        reader: Reads the words and tags of a row; None without tags.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        reader: WordReader | None = None,
    ) -> None:
        super().__init__(tokenizer, max_length)
        self._backend = _for_words(tokenizer.backend_tokenizer)
        self._backend.no_padding()
        self._backend.no_truncation()
        self._special = tokenizer.num_special_tokens_to_add(pair=False)
        self._unknown_token = tokenizer.unk_token
        self._reader = reader
        self._divided = self._parts = 0

    @property
    def truncated_share(self) -> float:
        """0: long sentences are divided, not truncated."""
        return 0.0

    @property
    def notes(self) -> Sequence[str]:
        """The numbers of sentences divided and of empty words dropped."""
        notes = []
        if dropped := self._reader.words_dropped if self._reader else 0:
            notes.append(f"dropped {counted(dropped, 'empty word')} from the sentences")
        if self._divided:
            notes.append(
                f"divided {counted(self._divided, 'sentence')} of more than {self.max_length}"
                f" tokens into {self._parts:,} examples that overlap"
            )
        return tuple(notes)

    def encode(self, texts: Sequence[list[list[str]]], labels: Sequence[Any] = ()) -> list[Any]:
        """Tokenize one batch; may be called from several threads at a time.

        Args:
            texts: The sentences, as one column.
            labels: Their tags as the data has them; empty without tags.

        Returns:
            For every sentence its number of tokens and its examples.
        """
        (sentences,) = texts
        if self._reader is not None:
            read = [self._reader.read(w, t) for w, t in zip(sentences, labels, strict=True)]
        else:
            read = [(words, [0] * len(words)) for words in sentences]
        with panics_as(cannot_tokenize):
            found = self._backend.encode_batch([words for words, _ in read], is_pretokenized=True)
        return [self._divide(*one, encoding) for one, encoding in zip(read, found, strict=True)]

    def _divide(
        self, words: list[str], tags: list[int], encoding: Any
    ) -> tuple[int, list[Example]]:
        present = set(encoding.word_ids) - {None}
        if len(present) < len(words):
            # No token is left of a word such as a zero-width space, but it has a tag.
            seen = [w if i in present else self._unknown_token or "?" for i, w in enumerate(words)]
            encoding = self._backend.encode(seen, is_pretokenized=True)
        special = np.array([i is None for i in encoding.word_ids])
        ids = np.array(encoding.ids, np.int64)
        body = np.flatnonzero(~special)
        before, after = ids[: body[0]], ids[body[-1] + 1 :]
        of_word = np.array([i for i in encoding.word_ids if i is not None])
        ids = ids[~special]
        room = self.max_length - len(before) - len(after)
        first = np.searchsorted(of_word, np.arange(len(words)))
        fits = (
            np.arange(len(ids)) - first[of_word] < room
        )  # truncate a word that is too long on its own
        ids, of_word = ids[fits], of_word[fits]
        starts = np.searchsorted(of_word, np.arange(len(words) + 1))
        labels = np.full(len(ids), CONTINUED, np.int32)
        labels[starts[:-1]] = tags
        examples = []
        for low, high, own_low, own_high in windows(starts, room):
            piece = slice(starts[low], starts[high])
            own = np.full(len(labels), IGNORED, np.int32)
            own[starts[own_low] : starts[own_high]] = labels[starts[own_low] : starts[own_high]]
            edges = [np.full(len(part), IGNORED, np.int32) for part in (before, after)]
            examples.append(
                Example(
                    words[own_low:own_high],
                    np.concatenate([before, ids[piece], after]),
                    np.concatenate([edges[0], own[piece], edges[1]]),
                )
            )
        return len(special), examples

    def examples(
        self, encoded: list[Any], texts: Sequence[list[Any]], labels: Sequence[Any]
    ) -> Examples:
        """The examples of a batch.

        Args:
            encoded: As `encode` returns it.
            texts: Not used: `encoded` has the words.
            labels: Not used: `encoded` has the labels.
        """
        parts = [example for _, examples in encoded for example in examples]
        sizes = [len(examples) for _, examples in encoded]
        self._divided += sum(size > 1 for size in sizes)
        self._parts += sum(size for size in sizes if size > 1)
        ids = self.joined_ids(example.ids for example in parts)
        self.count(np.array([length for length, _ in encoded], np.int64), ids)
        for length, examples in encoded[:SAMPLED]:
            if len(examples) == 1:
                self.count_words(examples[0].words, length - self._special)
        lengths = np.fromiter((len(example.ids) for example in parts), np.int64, len(parts))
        return Examples(
            of_row=np.repeat(np.arange(len(encoded)), sizes),
            labels=[example.labels for example in parts],
            tokens=Tokens(starts_of(lengths), ids, None),
            texts=[[example.words for example in parts]],
        )


def windows(starts: NDArray[np.int64], room: int) -> list[tuple[int, int, int, int]]:
    """Divide a sentence into examples of whole words.

    Args:
        starts: Start of each word's pieces, and the end of the last one's, shape [words + 1]; no
            word has more than `room` pieces.
        room: Pieces that fit into an example.

    Returns:
        For each example the first word and the one after the last, then the same for the words that
        are predicted in it: each of two examples predicts half of the words that they share.
    """
    count = len(starts) - 1
    found: list[tuple[int, int]] = []
    low = 0
    while True:
        high = int(np.searchsorted(starts, starts[low] + room, side="right")) - 1
        found.append((low, high))
        if high >= count:
            break
        overlap = starts[high] - int(room * _OVERLAP)
        next_fits, rest_fits = starts[high + 1] - room, starts[count] - room
        # The last example is filled as far as possible.
        low = int(np.searchsorted(starts, min(max(overlap, next_fits), rest_fits)))
    cuts = [0, *((low + high + 1) // 2 for (_, high), (low, _) in pairwise(found)), count]
    return [(*window, *own) for window, own in zip(found, pairwise(cuts), strict=True)]


def _for_words(backend: Tokenizer) -> Tokenizer:
    """A tokenizer that encodes each word as if a space preceded it, if that makes a difference."""
    from tokenizers import Tokenizer

    described = json.loads(backend.to_str())
    nodes = [described.get("pre_tokenizer") or {}]
    for node in nodes:
        nodes += node.get("pretokenizers", [])
        if node.get("type") == "ByteLevel":
            node["add_prefix_space"] = True
        elif node.get("type") == "Metaspace":
            node["prepend_scheme"] = "always"
    return Tokenizer.from_str(json.dumps(described))
