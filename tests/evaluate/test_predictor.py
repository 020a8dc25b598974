"""A predictor predicts like evaluate, in the order of the texts, in any batches."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from tensorflow.python.framework import ops

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.evaluate import predictor as module
from kfp_finetune.components.evaluate.predictor import Predictor
from kfp_finetune.components.finetune.inputs import Rows, evaluation_dataset
from kfp_finetune.components.models.forward import forward as forward_of
from kfp_finetune.components.models.loading import load_trained
from tests import tiny
from tests.checkpoints import LABELS
from tests.trained import write_trained

TEXTS = [row["text"] for row in tiny.rows(50, seed=3)]


@pytest.fixture
def load(tiny_model: Path, tmp_path: Path) -> Any:
    """A predictor for a model with these changes to its manifest."""

    def made(calibrated: bool = True, **changes: Any) -> Predictor:
        folder = write_trained(tmp_path / "model", tiny_model, **changes)
        return Predictor.load(folder, calibrated=calibrated)

    return made


def test_a_dropped_predictor_releases_its_weights_and_graph(load: Any) -> None:
    registered = set(ops.gradient_registry.list())
    predictor = load()
    predictor(TEXTS[:3])
    weights = weakref.ref(predictor.network.weights[0])
    del predictor
    gc.collect()
    assert weights() is None
    # A registered gradient is kept until the process ends, and keeps the graph and its weights.
    assert set(ops.gradient_registry.list()) == registered


def test_predictions_equal_those_of_evaluate(
    tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    data = tokenized_dataset.read(tiny_data)
    folder = write_trained(
        tmp_path, tiny_model, label_names=data.label_names, max_length=data.max_length
    )
    config = (folder / "config.json").read_text()
    for ours, theirs in zip(LABELS, data.label_names, strict=True):
        config = config.replace(f'"{ours}"', f'"{theirs}"')
    (folder / "config.json").write_text(config)
    manifest = model_artifact.read(folder)
    split = tokenized_dataset.open_split(tiny_data, "test")
    texts = split["text"].to_pylist()
    batches, order = evaluation_dataset(Rows(split, data), 8)
    forward = forward_of(load_trained(folder, manifest))
    expected = np.zeros((len(texts), 3), np.float32)
    expected[order] = np.concatenate([forward(features) for features in batches])
    predictor = Predictor.load(folder)
    np.testing.assert_allclose(np.concatenate(predictor.logits(texts)), expected, atol=1e-6)
    most_probable = [data.label_names[i] for i in expected.argmax(axis=1)]
    assert [p.labels for p in predictor(texts)] == [(label,) for label in most_probable]


def test_batching_keeps_the_order(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load()
    expected = {text: predictor([text])[0].probabilities for text in TEXTS}
    monkeypatch.setattr(module, "_BATCHES_AT_A_TIME", 2)
    for size in (1, 7, 64):
        answers = list(predictor.stream(TEXTS, size))
        assert [text for text, _ in answers] == TEXTS
        for text, prediction in answers:
            assert prediction.probabilities == pytest.approx(expected[text], abs=1e-6)


def test_few_texts_are_in_memory_at_a_time(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCHES_AT_A_TIME", 2)
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield TEXTS[taken % len(TEXTS)]

    answers = load().stream(endless(), 4)
    for _ in range(20):
        next(answers)
    assert taken == 32  # the next ones are being tokenized


def test_probabilities_are_calibrated_on_request(load: Any) -> None:
    logits = load().logits(TEXTS[:1])[0][0].astype(float)
    for calibrated, temperature in ((True, 2.0), (False, 1.0)):
        prediction = load(calibrated, temperature=2.0)(TEXTS[:1])[0]
        expected = dict(zip(LABELS, softmax(logits / temperature), strict=True))
        assert prediction.probabilities == pytest.approx(expected)
        shares = list(prediction.probabilities.values())
        assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)


def test_several_labels_are_those_above_their_thresholds(load: Any) -> None:
    several = {"problem_type": "multi_label_classification"}
    probabilities = expit(load(**several).logits(TEXTS[:1])[0][0].astype(float))
    thresholds = [p + 0.01 for p in probabilities]
    assert load(**several, thresholds=thresholds)(TEXTS[:1])[0].labels == ()
    thresholds[1] = 0.0
    prediction = load(**several, thresholds=thresholds)(TEXTS[:1])[0]
    assert prediction.labels == (LABELS[1],)
    assert prediction.probabilities == pytest.approx(dict(zip(LABELS, probabilities, strict=True)))
    above_half = {LABELS[i] for i in np.flatnonzero(probabilities > 0.5)}
    assert set(load(**several)(TEXTS[:1])[0].labels) == above_half


def test_pairs_and_single_texts_are_distinguished(load: Any) -> None:
    predictor = load(text_pair_column="other")
    one, turned = predictor.logits([("good parcel", "bad"), ("bad", "good parcel")])
    assert np.abs(one - turned).max() > 1e-4
    assert len(predictor([("good", "bad")] * 5)) == 5


def test_a_single_text_or_pair_gives_one_prediction(load: Any) -> None:
    predictor = load()
    for text in ("good parcel", "a"):
        assert predictor(text) == predictor([text])[0]
        assert [answered for answered, _ in predictor.stream(text)] == [text]
        assert np.array_equal(predictor.logits(text), predictor.logits([text]))
    with pytest.raises(InputError, match="there is no text"):
        predictor("")
    of_pairs = load(text_pair_column="other")
    assert of_pairs(("good", "bad")) == of_pairs([("good", "bad")])[0]
    with pytest.raises(InputError, match="'good' is not a text"):
        of_pairs("good")


@pytest.mark.parametrize(
    ("pair", "text", "found"),
    [
        (None, "", "there is no text"),
        (None, "  ", "'  ' is not a text"),
        (None, None, "there is no text"),
        (None, 3, "3 is not a text"),
        (None, ("a", "b"), "('a', 'b') is not a text"),
        ("other", "a", "'a' is not a text"),
        ("other", ("a", ""), "('a', '') is not a text"),
    ],
)
def test_invalid_texts_are_refused(load: Any, pair: str | None, text: Any, found: str) -> None:
    predictor = load(text_pair_column=pair)
    right = ("good", "bad") if pair else "good"
    with pytest.raises(InputError) as caught:
        predictor([right, text])
    assert caught.value.found == found
    assert caught.value.where == "text 2"


def test_invalid_models_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no manifest\.json"):
        Predictor.load(tiny_model)
    folder = write_trained(tmp_path / "model", tiny_model)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="the folder has no weights"):
        Predictor.load(folder)
    folder = write_trained(tmp_path / "other", tiny_model, label_names=["a", "b"])
    with pytest.raises(InputError, match="the model was not trained for these labels"):
        Predictor.load(folder)
