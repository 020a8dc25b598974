"""Training the embeddings of the used tokens only gives, bit by bit, what training all gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.finetune import devices, learner
from kfp_finetune.components.finetune.vocabulary import UsedVocabulary
from kfp_finetune.components.load_data import model_location
from kfp_finetune.components.models.loading import load_classifier
from tests import checkpoints, tiny
from tests.finetune.runs import Run

UNUSED = [f"unused{i}" for i in range(40)]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that knows more words than the data has, some before and some between them."""
    words = [*UNUSED[:20], *tiny.WORDS[:5], *UNUSED[20:], *tiny.WORDS[5:]]
    monkeypatch.setattr(tiny, "WORDS", words)
    return tiny.write_model(tmp_path / "model")


@pytest.fixture
def data(model: Path, tmp_path: Path, tiny_data: Path) -> Iterator[Path]:
    """The tiny dataset, tokenized for that model."""
    source = tiny_data.parent
    yield tiny.tokenize(
        tmp_path,
        dataset=str(source / "train.csv"),
        test_dataset=str(source / "test.csv"),
        validation_fraction=15 / 118,
        model=str(model),
        max_length=16,
    )


def all_of_it(
    tables: Any, data: tokenized_dataset.TokenizedDatasetManifest, fixed_ids: int
) -> UsedVocabulary:
    vocabulary = UsedVocabulary([], data, data.vocab_size)
    assert len(vocabulary.tokens) == data.vocab_size
    return vocabulary


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lion"])
def test_it_changes_no_bit(
    optimizer: str, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = Run(tmp_path / "used", data, model, optimizer=optimizer)
    used()
    monkeypatch.setattr(learner, "UsedVocabulary", all_of_it)
    whole = Run(tmp_path / "whole", data, model, optimizer=optimizer)
    whole()
    expected = load_file(whole.folder / "model" / "model.safetensors")
    found = load_file(used.folder / "model" / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        np.testing.assert_array_equal(found[name], weight, err_msg=name)


def test_weight_decay_reaches_the_tokens_that_are_not_used(
    model: Path, data: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run", data, model, optimizer="adamw", weight_decay=0.5)
    run()
    (name,) = [n for n in load_file(run.folder / "model" / "model.safetensors") if "word_emb" in n]
    before = load_classifier(
        model, num_labels=3, label_names=[], problem_type="single_label_classification", seed=42
    )
    table = before.word_embeddings.table.numpy()
    after = load_file(run.folder / "model" / "model.safetensors")[name]
    unused = slice(6, 20)  # behind the special tokens
    assert np.all(np.abs(after[unused]) < np.abs(table[unused]))


@pytest.mark.parametrize(
    "family",
    # These have ways of their own to find padding, or to use embeddings.
    ["bert", "deberta-v2", "electra", "roberta"]
    + [
        pytest.param(family, marks=pytest.mark.slow)
        for family in checkpoints.FAMILIES
        if family not in ("bert", "deberta-v2", "electra", "roberta")
    ],
)
def test_every_family_answers_alike_with_the_used_tokens_only(
    family: str, tmp_path: Path, tiny_data: Path
) -> None:
    devices.configure(0)
    folder = checkpoints.write_checkpoint(tmp_path / family, family)
    model = load_classifier(
        model_location.resolve(str(folder), None, weights=True),
        num_labels=3,
        label_names=checkpoints.LABELS,
        problem_type="single_label_classification",
        seed=1,
    )
    config = model.config
    manifest = tokenized_dataset.read(tiny_data).model_copy(
        update={"vocab_size": config.vocab_size, "pad_token_id": config.pad_token_id or 0}
    )
    tables = [tokenized_dataset.open_split(tiny_data, "train")]
    vocabulary = UsedVocabulary(tables, manifest, config.fixed_ids)
    assert len(vocabulary.tokens) < config.vocab_size

    ids = np.full([3, 9], manifest.pad_token_id, np.int32)
    ids[:, :6] = np.random.default_rng(0).choice(vocabulary.tokens, [3, 6])
    mask = (np.arange(9) < np.array([[9], [6], [4]])).astype(np.int32)
    answer = np.asarray(model({"input_ids": ids, "attention_mask": mask}))
    before = [tuple(weight.shape) for weight in model.weights]
    vocabulary.shrink(model)
    assert model.word_embeddings.table.shape[0] == len(vocabulary.tokens)
    small = np.asarray(model({"input_ids": vocabulary.ids_of(ids), "attention_mask": mask}))
    np.testing.assert_array_equal(small, answer)
    vocabulary.put_back(model)
    assert sorted(tuple(w.shape) for w in model.weights) == sorted(before)
    again = np.asarray(model({"input_ids": ids, "attention_mask": mask}))
    np.testing.assert_array_equal(again, answer)
