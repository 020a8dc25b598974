"""ModernBERT: long texts in little memory, with the same answers and gradients."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models import local_attention, registry
from kfp_finetune.components.models.attention import weighted_values
from kfp_finetune.components.models.block_attention import attend_by_blocks
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.encoder import padding_bias
from kfp_finetune.components.models.names import weights_of
from kfp_finetune.components.models.weights import draw

TINY = {
    "model_type": "modernbert",
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "local_attention": 8,
    "attention_dropout": 0.2,
    "mlp_dropout": 0.2,
    "embedding_dropout": 0.2,
    "classifier_pooling": "mean",
}


def _model(**changes: Any) -> Classifier:
    config = registry.read_config({**TINY, **changes}, Path("config.json"))
    family = registry.family("modernbert")
    model = Classifier(
        family, config, num_labels=3, problem_type="single_label_classification", seed=5
    )
    draw(weights_of(model), 0.3, 1)
    return model


def _features(width: int, length: int) -> dict[str, Any]:
    ids = tf.random.stateless_uniform([2, width], [1, 2], 0, 40, tf.int32)
    mask = tf.constant([[1] * width, [1] * length + [0] * (width - length)], tf.int32)
    return {"input_ids": ids, "attention_mask": mask}


def _qkv(width: int) -> list[Any]:
    return [tf.random.stateless_normal([2, 3, width, 4], [7, number]) for number in range(3)]


@pytest.mark.parametrize("reach", [0, 1, 5, 8, 13])
@pytest.mark.parametrize("width", [1, 31, 32, 33, 130])
def test_blocks_attend_as_the_mask_does(reach: int, width: int) -> None:
    mask = tf.constant([[1] * width, [1] * (width // 2 + 1) + [0] * (width - width // 2 - 1)])
    results = []
    for limit in (0, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local_attention, "_LONG", limit)
            window = local_attention.window(mask, reach)
            assert window.long == (limit == 0)
            with tf.GradientTape() as tape:
                inputs = _qkv(width)
                tape.watch(inputs)
                out = local_attention.attend_locally(*inputs, window, Dropout(0.0), None)
                real = out * tf.cast(mask, tf.float32)[:, tf.newaxis, :, tf.newaxis]
                loss = tf.reduce_sum(real**2)
            results.append([real, *tape.gradient(loss, inputs)])
    for blocks, masked in zip(*results, strict=True):
        np.testing.assert_allclose(blocks, masked, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [5, 256, 300, 600])
def test_blocks_of_queries_attend_as_all_at_once(width: int) -> None:
    mask = tf.constant([[1] * width, [1] * 4 + [0] * (width - 4)])
    results = []
    for function in (attend_by_blocks, weighted_values):
        inputs = _qkv(width)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            out = function(*inputs, padding_bias(mask), Dropout(0.0), None)
            loss = tf.reduce_sum(out**2)
        results.append([out, *tape.gradient(loss, inputs)])
    for blocks, whole in zip(*results, strict=True):
        np.testing.assert_allclose(blocks, whole, rtol=1e-5, atol=1e-5)


def test_dropout_of_probabilities_is_the_same_in_the_gradient() -> None:
    """Numerical derivative of the loss along one direction."""
    inputs, seed, dropout = _qkv(300), tf.constant([3, 4]), Dropout(0.3)
    bias = tf.zeros([2, 1, 1, 300])

    def loss(step: float) -> Any:
        query, key, value = inputs
        out = attend_by_blocks(query, key, value + step * tf.sin(value), bias, dropout, seed)
        return tf.reduce_sum(out * tf.cos(query))

    with tf.GradientTape() as tape:
        step = tf.constant(0.0)
        tape.watch(step)
        value = loss(step)
    slope = (loss(0.5) - loss(-0.5)) / 1.0  # linear in the value
    np.testing.assert_allclose(tape.gradient(value, step), slope, rtol=1e-3)


def test_no_block_drops_what_another_block_or_update_dropped() -> None:
    """Updates count in the second half of a seed."""
    queries, _, value = _qkv(512)
    masks = []
    for update in (4, 5, 6):
        seed, bias = tf.constant([3, update]), tf.zeros([2, 1, 1, 512])
        out = attend_by_blocks(0 * queries, 0 * queries, value, bias, Dropout(0.5), seed)
        masks += np.split(np.asarray(out), 2, axis=2)
    same = [np.allclose(one, other) for one, other in itertools.combinations(masks, 2)]
    assert not any(same)


@pytest.mark.parametrize("width", [20, 150])
def test_checkpointing_changes_no_gradient(width: int) -> None:
    """With dropout on where both draw the same: everywhere but in blocks of queries."""
    found = []
    for checkpointing in (False, True):
        model = _model(attention_dropout=0.0)
        model.gradient_checkpointing = checkpointing

        @tf.function
        def gradients(model: Classifier = model) -> Any:
            with tf.GradientTape() as tape:
                logits = model(_features(width, width // 2), training=True)
                loss = tf.reduce_sum(logits * tf.constant([1.0, 2.0, -1.0]))
            return loss, tape.gradient(loss, [v.value for v in model.trainable_variables])

        found.append(gradients())
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for plain, again in zip(found[0][1], found[1][1], strict=True):
        plain, again = tf.convert_to_tensor(plain), tf.convert_to_tensor(again)
        scale = float(tf.reduce_max(tf.abs(plain)))
        assert scale > 0
        np.testing.assert_allclose(plain, again, atol=2e-5 * scale + 1e-6)


def test_one_graph_serves_short_and_long_texts() -> None:
    model = _model()
    spec = tf.TensorSpec([None, None], tf.int32)
    graph = tf.function(
        lambda ids, mask: model({"input_ids": ids, "attention_mask": mask}),
        input_signature=[spec, spec],
        autograph=False,
    )
    for width in (1, 9, 150):
        features = _features(width, max(width // 2, 1))
        expected = model(features)
        np.testing.assert_allclose(
            graph(features["input_ids"], features["attention_mask"]), expected, atol=1e-5
        )


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}, "rope_parameters"),
        ("rope_scaling", {"rope_type": "linear"}, "rope_parameters"),
        ("rope_parameters", "default", "rope_parameters"),
        ("layer_types", ["full_attention"], "layer_types"),
        ("layer_types", ["chunked_attention"] * 4, "layer_types"),
        ("global_attn_every_n_layers", 0, "layer_types"),
        ("local_rope_theta", -1.0, "rope_parameters"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(key: str, value: Any, named: str) -> None:
    with pytest.raises(InputError, match=named):
        registry.read_config({**TINY, key: value}, Path("config.json"))


def test_old_and_new_keys_mean_the_same() -> None:
    old = registry.read_config(
        {
            **TINY,
            "global_rope_theta": 50_000.0,
            "local_rope_theta": None,
            "global_attn_every_n_layers": 2,
        },
        Path("config.json"),
    )
    new = registry.read_config(
        {
            **TINY,
            "layer_types": ["full_attention", "sliding_attention"] * 2,
            "rope_parameters": {
                "full_attention": {"rope_theta": 50_000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50_000.0},
            },
        },
        Path("config.json"),
    )
    for config in (old, new):
        assert config.old_keys() == {
            "global_rope_theta": 50_000.0,
            "local_rope_theta": 50_000.0,
            "global_attn_every_n_layers": 2,
            "rope_scaling": None,
        }
    assert old.rope_parameters == new.rope_parameters  # type: ignore[attr-defined]
    assert old.layer_types == new.layer_types  # type: ignore[attr-defined]
