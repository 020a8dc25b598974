"""Long sentences become examples that overlap, and every word is predicted once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from kfp_finetune.components.load_data.pretrained import load_tokenizer
from kfp_finetune.components.tasks.labels import LabelContext
from kfp_finetune.components.tasks.token_classification.reading import TagSets
from kfp_finetune.components.tasks.token_classification.task import TASK
from kfp_finetune.components.tasks.token_classification.windows import WordTokenizer, windows
from kfp_finetune.components.tasks.token_classification.word_labels import (
    CONTINUED,
    IGNORED,
    WordLabels,
)
from tests import tiny


@given(st.integers(1, 20).flatmap(
    lambda room: st.tuples(st.just(room), st.lists(st.integers(1, room), min_size=1, max_size=40))
))  # fmt: skip
def test_windows_hold_whole_words_and_predict_each_once(given_: tuple[int, list[int]]) -> None:
    room, pieces = given_
    starts = np.concatenate([[0], np.cumsum(pieces)])
    found = windows(starts, room)
    assert all(starts[high] - starts[low] <= room for low, high, _, _ in found)
    owned = [word for _, _, low, high in found for word in range(low, high)]
    assert owned == list(range(len(pieces)))
    assert all(low <= own_low < own_high <= high for low, high, own_low, own_high in found)
    assert all(b[0] > a[0] and b[1] > a[1] for a, b in pairwise(found))
    if sum(pieces) <= room:
        assert len(found) == 1


def test_a_word_has_context_on_both_sides() -> None:
    found = windows(np.arange(101), 20)
    for low, high, own_low, own_high in found:
        assert own_low - low >= 2 or low == 0
        assert high - own_high >= 2 or high == 100


def test_words_labels_and_pieces_stay_together(tiny_tokenizer: Path) -> None:
    """Words of several pieces, of none, and too long for an example."""
    sets = TagSets((), repair=False)
    sentences = [["good"], ["late", "\u200b", "late-early", "shop"], ["card"] * 30, ["a-" * 30]]
    tags = [["B-x"], ["O", "B-x", "I-x", "O"], ["O", "B-x", "I-x"] * 10, ["B-x"]]
    for value in tags:
        sets.number(value)
    labels = TASK.understand_labels(sets, "auto", LabelContext())
    tokenizer = load_tokenizer(tiny_tokenizer)
    tokenize = TASK.row_tokenizer(tokenizer, 12, labels=labels)
    assert isinstance(tokenize, WordTokenizer)
    examples = tokenize.examples(tokenize.encode([sentences], tags), [sentences], tags)
    lengths = np.diff(examples.tokens.starts)
    assert lengths.max() <= 12 and [len(part) for part in examples.labels] == lengths.tolist()
    for row, (words, expected) in enumerate(zip(sentences, tags, strict=True)):
        own = np.flatnonzero(examples.of_row == row)
        assert [word for i in own for word in examples.texts[0][i]] == words
        ids = np.concatenate([examples.labels[i] for i in own])
        assert [labels.names[i] for i in ids[ids >= 0]] == expected
    of_second = examples.labels[1]  # [CLS] late [UNK] late - early shop [SEP]
    o, b, i = map(labels.names.index, ("O", "B-x", "I-x"))
    assert of_second.tolist() == [IGNORED, o, b, i, CONTINUED, CONTINUED, o, IGNORED]
    assert tokenize.notes == (
        "divided 1 sentence of more than 12 tokens into 4 examples that overlap",
    )


@pytest.mark.parametrize("all_tokens", [False, True])
def test_batches_of_labels(all_tokens: bool) -> None:
    column = [[IGNORED, 1, CONTINUED, 2, IGNORED], [IGNORED, 0, IGNORED, IGNORED], [IGNORED, 1]]
    labels = WordLabels(
        pa.chunked_array([column[:2], column[2:]], pa.list_(pa.int32())), ["O", "B-x", "I-x"]
    )
    found, weights = labels.batch(np.array([2, 0]), 6, all_tokens=all_tokens)
    inside = 2 if all_tokens else 0
    assert found.tolist() == [[0, 1, 0, 0, 0, 0], [0, 1, inside, 2, 0, 0]]
    assert weights.tolist() == [[0, 1, 0, 0, 0, 0], [0, 1, float(all_tokens), 1, 0, 0]]
    outputs = np.arange(2 * 6 * 3).reshape(2, 6, 3).astype(np.float32)
    places, chosen = labels.gather(outputs, np.array([2, 0]))
    assert places.tolist() == [3, 0, 1]
    assert chosen.tolist() == outputs[[0, 1, 1], [1, 1, 3]].tolist()


@pytest.fixture
def tiny_tokenizer(tmp_path: Path) -> Path:
    return tiny.write_model(tmp_path / "model")


@pytest.mark.parametrize("kind", ["ByteLevel", "Metaspace"])
def test_words_are_tokenized_as_in_a_text(kind: str) -> None:
    """With tokenizers that distinguish words after a space from the first word of a text."""
    made = Tokenizer(models.BPE())
    pre_tokenizer = getattr(pre_tokenizers, kind)
    made.pre_tokenizer = pre_tokenizer(
        **({"add_prefix_space": False} if kind == "ByteLevel" else {"prepend_scheme": "first"})
    )
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<pad>", "<unk>"])
    made.train_from_iterator([" ".join(words) for words, _ in tiny.sentences(50)], trainer)
    special = {"unk_token": "<unk>", "pad_token": "<pad>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **special)
    sentences = [words for words, _ in tiny.sentences(20, seed=3)]
    tokenize = TASK.row_tokenizer(fast, 64)
    examples = tokenize.examples(tokenize.encode([sentences]), [sentences], [])
    for i, words in enumerate(sentences):
        low, high = examples.tokens.starts[i : i + 2]
        expected = made.encode((" " if kind == "ByteLevel" else "") + " ".join(words)).ids
        assert examples.tokens.input_ids[low:high].tolist() == expected
