"""Computing layers again in the gradient changes neither logits nor gradients."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import numpy as np
import pytest
import tensorflow as tf

from kfp_finetune.components.models import registry
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.names import weights_of
from kfp_finetune.components.models.weights import draw
from tests.models.parity.cases import CONFIGURATIONS


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_gradients_are_those_without_it(family: str) -> None:
    described = hypothesis.find(
        CONFIGURATIONS[family](),
        lambda c: c.get("num_hidden_layers", c.get("n_layers")) > 1,
        settings=hypothesis.settings(database=None, max_examples=500),
    )
    # Attention that goes in blocks of queries then draws its dropout block by block.
    described |= {"attention_probs_dropout_prob": 0.0, "attention_dropout": 0.0}
    config = registry.read_config(described, Path("config.json"))
    model = Classifier(
        registry.family(family),
        config,
        num_labels=2,
        problem_type="single_label_classification",
        seed=1,
    )
    weights = weights_of(model)
    draw(weights, 0.3, seed=1)
    ids = tf.constant([[4, 5, 6, 7, 8], [9, 10, 11, 0, 0]])
    features = {"input_ids": ids, "attention_mask": tf.constant([[1] * 5, [1, 1, 1, 0, 0]])}

    def gradients() -> list[np.ndarray | None]:
        model.dropout_seeds.state.assign([1, 0])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(features, training=True) ** 2)
        found = tape.gradient(loss, [weight.variable.value for weight in weights])
        return [np.asarray(tf.convert_to_tensor(g)) if g is not None else None for g in found]

    plain = gradients()
    model.gradient_checkpointing = True
    for weight, expected, found in zip(weights, plain, gradients(), strict=True):
        assert (expected is None) == (found is None), weight.name
        if expected is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=weight.name)
