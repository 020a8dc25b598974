"""Faster parts compute what the model's own compute: values, gradients, names of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from kfp_finetune.components.finetune import devices, layers, models
from tests import checkpoints

WIDTH, LABELS = 7, 3


def load(folder: Path) -> Any:
    devices.configure(0)
    return models.load_classifier(
        folder,
        num_labels=LABELS,
        label_names=checkpoints.LABELS,
        problem_type="single_label_classification",
        seed=1,
    )


def without_dropout(model: Any) -> Any:
    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.Dropout):
            layer.rate = 0.0
    return model


def trained_once(model: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Logits in training, and the gradient of a sum of them that tells them apart."""
    ids = np.random.default_rng(0).integers(5, 20, (4, WIDTH)).astype(np.int32)
    mask = (np.arange(WIDTH) < np.array([[7], [3], [1], [5]])).astype(np.int32)
    features = {"input_ids": tf.constant(ids), "attention_mask": tf.constant(mask)}
    told = tf.reshape(tf.range(4.0 * LABELS), [4, LABELS])
    with tf.GradientTape() as tape:
        logits = models.logits_of(model)(features, training=True)
        total = tf.reduce_sum(logits * told)
    variables = model.trainable_variables
    gradients = tape.gradient(total, variables, unconnected_gradients="zero")
    names = [variable.name.partition("/")[2] for variable in variables]
    return logits.numpy(), {
        name: tf.convert_to_tensor(g).numpy() for name, g in zip(names, gradients, strict=True)
    }


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_a_model_with_faster_parts_is_the_same_model(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoints.write_checkpoint(tmp_path / family, family)
    faster = without_dropout(load(folder))
    replaced = {type(layer) for layer in faster.submodules}
    monkeypatch.setattr(layers, "replace", lambda model, first_token: None)
    own = without_dropout(load(folder))

    logits, gradients = trained_once(faster)
    expected, expected_gradients = trained_once(own)
    assert layers.Dropout in replaced
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    largest = max(np.abs(gradient).max() for gradient in expected_gradients.values())
    for name, gradient in gradients.items():
        expected = expected_gradients[name]
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5 * largest, err_msg=name)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_the_last_layer_is_computed_for_the_token_that_the_head_looks_at(
    family: str, tmp_path: Path
) -> None:
    model = load(checkpoints.write_checkpoint(tmp_path / family, family))
    features = {
        "input_ids": tf.ones([2, WIDTH], tf.int32) * 6,
        "attention_mask": tf.ones([2, WIDTH], tf.int32),
    }
    encoder = getattr(model, model.base_model_prefix)
    assert encoder(features).last_hidden_state.shape[:2] == [2, 1]


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    devices.configure(3)
    dropout = layers.Dropout(0.1)
    dropout._random_generator._maybe_init()
    once, again = (dropout(tf.ones([1001, 333]), training=True).numpy() for _ in range(2))
    assert (once == 0).mean() == pytest.approx(0.1, abs=0.002)
    assert once.mean() == pytest.approx(1, abs=0.002)
    assert np.unique(once).tolist() == pytest.approx([0, 1 / 0.9], rel=1e-4)
    assert (once != again).mean() == pytest.approx(2 * 0.1 * 0.9, abs=0.005)
    np.testing.assert_array_equal(dropout(once, training=False), once)


def test_what_dropout_drops_has_no_gradient() -> None:
    devices.configure(3)
    dropout = layers.Dropout(0.5)
    x = tf.Variable(tf.random.normal([40, 3]))
    with tf.GradientTape() as tape:
        y = dropout(x, training=True)
    gradient = tape.gradient(y, x).numpy()
    np.testing.assert_array_equal(gradient, np.where(y.numpy() == 0, 0, 2))
