"""Every family computes under the policy that a GPU with bfloat16 gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kfp_finetune.components.models import registry, rotary_attention
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.configurations.rope import Rope
from kfp_finetune.components.models.names import weights_of
from kfp_finetune.components.models.rotary import rotate, rotations
from kfp_finetune.components.models.weights import draw
from tests.models.parity.cases import CONFIGURATIONS, drawn

FEATURES = {
    "input_ids": tf.constant([[4, 5, 6, 7, 8], [9, 10, 11, 3, 3]]),
    "attention_mask": tf.constant([[1] * 5, [1, 1, 1, 0, 0]]),
}


@pytest.fixture
def mixed() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def classifier(family: str) -> Classifier:
    config = registry.read_config(drawn(CONFIGURATIONS[family](), 4)[-1], Path("config.json"))
    model = Classifier(
        registry.family(family),
        config,
        num_labels=2,
        problem_type="single_label_classification",
        seed=1,
    )
    draw(weights_of(model), 0.1, 1)
    return model


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_family_trains_and_answers_in_mixed_precision(family: str, mixed: None) -> None:
    model = classifier(family)
    logits = model(FEATURES)
    for checkpointing in (False, True):
        model.gradient_checkpointing = checkpointing
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(FEATURES, training=True))
        found = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
        gradients = [tf.convert_to_tensor(g) for g in found if g is not None]
        assert gradients
        assert {g.dtype for g in gradients} == {tf.float32}
        assert all(np.isfinite(g).all() for g in gradients)
    keras.config.set_dtype_policy("float32")
    exact = classifier(family)(FEATURES)
    np.testing.assert_allclose(logits, exact, rtol=0, atol=0.2 * np.abs(exact).max())


@pytest.mark.parametrize("family", ["eurobert", "gte", "jina_embeddings_v3", "nomic_bert"])
def test_angles_are_not_rounded_to_bfloat16(
    family: str, mixed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def spy(x: Any, *angles: Any) -> Any:
        seen.extend(angles)
        return rotate(x, *angles)

    monkeypatch.setattr(rotary_attention, "rotate", spy)
    classifier(family)(FEATURES)
    assert {angle.dtype for angle in seen} == {tf.float32}


def test_a_rotation_in_bfloat16_is_rounded_once() -> None:
    rope = Rope(theta=10_000.0, kind="default", factor=1.0, trained_length=8_192)
    turns = rotations(rope, tf.constant(5_000), 4)
    exact = tf.random.stateless_normal([1, 2, 5_000, 4], [1, 2])
    rounded = tf.cast(exact, tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(rounded)
        turned = rotate(rounded, *turns)
    expected = tf.cast(rotate(tf.cast(rounded, tf.float32), *turns), tf.bfloat16)
    np.testing.assert_array_equal(turned, expected)
    assert tape.gradient(turned, rounded).dtype == tf.bfloat16
