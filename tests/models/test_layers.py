"""Shared layers compute what their formulas say, with the gradients that these have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kfp_finetune.components.models import registry
from kfp_finetune.components.models.activations import gelu
from kfp_finetune.components.models.attention import SelfAttention
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.dropout import Dropout, fold
from kfp_finetune.components.models.families.mpnet import MPNetEncoder, buckets
from kfp_finetune.components.models.families.roberta import positions_after
from kfp_finetune.components.models.norms import LayerNorm
from tests import checkpoints
from tests.models.loaded import features, load

SEED = tf.constant([3, 5], tf.int32)
FIRST_TOKEN = [
    family for family in checkpoints.FAMILIES if registry.family(family).first_token is True
]


def gradients(function: Callable[..., Any], *inputs: Any) -> list[np.ndarray]:
    """Of a weighted sum of the outputs, in which no two weigh the same."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
        weights = tf.reshape(tf.range(tf.size(outputs, tf.float32)) / 7, tf.shape(outputs))
        total = tf.reduce_sum(outputs * tf.sin(weights))
    return [gradient.numpy() for gradient in tape.gradient(total, inputs)]


def assert_same(ours: Callable[..., Any], plain: Callable[..., Any], *inputs: Any) -> None:
    np.testing.assert_allclose(ours(*inputs), plain(*inputs), rtol=1e-5, atol=1e-6)
    for found, expected in zip(gradients(ours, *inputs), gradients(plain, *inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def drawn(*shape: int) -> Any:
    return tf.constant(np.random.RandomState(0).standard_normal(shape), tf.float32)


def test_gelu_is_keras_own() -> None:
    assert_same(gelu, lambda x: tf.nn.gelu(x, approximate=False), 3 * drawn(4, 50))


def test_layer_normalization_is_the_formula() -> None:
    def ours(x: Any, gamma: Any, beta: Any) -> Any:
        layer = LayerNorm(6, 1e-3)
        layer.__dict__.update(gamma=gamma, beta=beta)  # tensors, so that they have gradients
        return layer(x)

    def plain(x: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) / tf.sqrt(variance + 1e-3) * gamma + beta

    assert_same(ours, plain, drawn(2, 5, 6) * 3 + 1, drawn(6) + 1, drawn(6))


def test_padding_and_several_biases_are_added_to_the_scores() -> None:
    layer = SelfAttention(8, 2, 0.0)
    for variable in layer.weights:
        variable.assign(drawn(*variable.shape))
    x, one, other = drawn(3, 5, 8), drawn(3, 1, 1, 5), drawn(1, 2, 5, 5)
    together = layer(x, one + other)
    np.testing.assert_allclose(layer(x, (one, other)), together, rtol=1e-5, atol=1e-5)
    first = layer(x, (one, other), None, first_token=True)
    np.testing.assert_allclose(first, together[:, :1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FIRST_TOKEN)
def test_the_last_layer_is_computed_for_the_token_that_the_head_reads(
    family: str, tmp_path: Path
) -> None:
    model = load(checkpoints.write_checkpoint(tmp_path, family))
    asked = features(family)
    whole, first = model.encoder(asked), model.encoder(asked, None, first_token=True)
    assert first.shape[:2] == [2, 1]
    np.testing.assert_allclose(first, whole[:, :1], rtol=1e-5, atol=1e-5)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    dropout = Dropout(0.1)
    once = dropout(tf.ones([1001, 333]), SEED).numpy()
    again = dropout(tf.ones([1001, 333]), SEED + 1).numpy()
    assert (once == 0).mean() == pytest.approx(0.1, abs=0.002)
    assert once.mean() == pytest.approx(1, abs=0.002)
    assert np.unique(once).tolist() == pytest.approx([0, 1 / 0.9], rel=1e-4)
    assert (once != again).mean() == pytest.approx(2 * 0.1 * 0.9, abs=0.005)
    np.testing.assert_array_equal(dropout(once), once)
    np.testing.assert_array_equal(dropout(tf.ones([1001, 333]), SEED), once)


def test_a_rate_that_rounds_to_1_drops_nearly_everything() -> None:
    dropped = Dropout(1 - 1e-7)(tf.ones([100, 100]), SEED).numpy()
    assert set(np.unique(dropped)) <= {0, 2**16}
    assert (dropped == 0).mean() > 0.99


def test_what_dropout_drops_has_no_gradient() -> None:
    dropout = Dropout(0.5)
    x = drawn(40, 3)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = dropout(x, SEED)
    gradient = tape.gradient(y, x).numpy()
    np.testing.assert_array_equal(gradient, np.where(y.numpy() == 0, 0, 2))


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_training_has_dropout_and_gradients_everywhere(family: str, tmp_path: Path) -> None:
    """No two dropout layers draw the same, and no weight is left out."""
    model = load(checkpoints.write_checkpoint(tmp_path, family))
    dropouts = dropouts_of(model)
    assert [layer.number for layer in dropouts] == list(range(len(dropouts)))
    variables = model.trainable_variables
    values = [variable.value for variable in variables]
    with tf.GradientTape() as tape:
        logits = model(features(family), training=True)
        total = tf.reduce_sum(logits * tf.constant([1.0, -2.0, 0.5]))
    without = [
        variable.path
        for variable, gradient in zip(variables, tape.gradient(total, values), strict=True)
        if gradient is None
    ]
    assert without == []
    for layer in dropouts:
        layer.rate = 0.0
    np.testing.assert_array_equal(model(features(family), training=True), model(features(family)))


def test_passes_through_the_same_weights_drop_different_elements(tmp_path: Path) -> None:
    model = load(checkpoints.write_checkpoint(tmp_path, "albert"))
    layer = model.encoder.blocks[0].blocks[0].attention_dropout
    layer.rate = 0.5
    seen: list[np.ndarray] = []
    call = layer.call
    layer.call = lambda x, seed: seen.append((call(tf.ones([8, 8]), seed)).numpy()) or call(x, seed)
    model(features("albert"), training=True)
    assert len(seen) == model.config.num_hidden_layers == 2
    assert (seen[0] != seen[1]).any()
    assert fold(None, 3) is None


@pytest.mark.parametrize("family", ["convbert", "mobilebert"])
def test_the_row_of_padding_is_not_trained_where_tokens_depend_on_it(
    family: str, tmp_path: Path
) -> None:
    """As PyTorch's `padding_idx` has it."""
    model = load(checkpoints.write_checkpoint(tmp_path, family))
    pad, table = model.config.pad_token_id, model.word_embeddings.table.value
    asked = features(family)
    assert (asked["input_ids"].numpy() == pad).any()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(asked)[:, 0])
    gradient = tf.convert_to_tensor(tape.gradient(total, table)).numpy()
    assert not gradient[pad].any()
    assert gradient[7].any()


def test_mpnets_bias_is_the_one_of_each_distance(tmp_path: Path) -> None:
    model = load(checkpoints.write_checkpoint(tmp_path, "mpnet"))
    encoder = model.encoder
    assert isinstance(encoder, MPNetEncoder)
    for width in (1, 2, 9, 30):
        position = np.arange(width)
        distance = position[np.newaxis, :] - position[:, np.newaxis]
        expected = np.array(encoder.distances.table)[buckets(distance)].transpose(2, 0, 1)
        np.testing.assert_array_equal(encoder.bias(tf.constant(width))[0], expected)


@pytest.mark.parametrize("pad", [0, 1, 5])
def test_positions_start_behind_the_id_of_padding_and_padding_has_that_id(pad: int) -> None:
    ids = [[17, 18, pad, pad], [pad, 19, 14, 12]]
    expected = [[pad + 1, pad + 2, pad, pad], [pad, pad + 1, pad + 2, pad + 3]]
    assert positions_after(tf.constant(ids), pad).numpy().tolist() == expected


def test_distances_share_buckets_from_8_on() -> None:
    """Where the buckets of PyTorch's formula begin, read off torch 2.13."""
    bucket = buckets(-np.arange(600))
    begin = [i for i in range(1, 600) if bucket[i] != bucket[i - 1]]
    assert begin == [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
    np.testing.assert_array_equal(buckets(np.arange(1, 600)), bucket[1:] + 16)


def dropouts_of(model: Classifier) -> list[Dropout]:
    return [part for part in model._flatten_layers() if isinstance(part, Dropout)]
