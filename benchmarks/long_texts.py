"""Time and peak memory of training a model of ModernBERT-base's size on one long text.

    python benchmarks/long_texts.py [WIDTH [UPDATES [plain]]]

A step is the forward and backward pass, with the model's dropout, and Adam. With `plain`,
gradient_checkpointing is off: every layer keeps its activations for the gradient, and global
attention computes all scores at once. Weights are random, because time and memory depend only on
the size of the model.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models import registry
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.names import weights_of
from kfp_finetune.components.models.weights import draw


def main(width: int = 8_192, updates: int = 3, checkpointing: bool = True) -> None:
    """Train on one random text, and print time and memory."""
    # All other keys have the values of answerdotai/ModernBERT-base.
    described = {"model_type": "modernbert", "attention_dropout": 0.1}
    config = registry.read_config(described, Path("config.json"))
    model = Classifier(
        registry.family("modernbert"),
        config,
        num_labels=2,
        problem_type="single_label_classification",
        seed=1,
    )
    model.gradient_checkpointing = checkpointing
    draw(weights_of(model), 0.02, 1)
    optimizer = keras.optimizers.Adam(5e-5)
    optimizer.build(model.trainable_variables)
    at_start = _peak()

    spec = tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[spec, spec], autograph=False)
    def update(ids: Any, labels: Any) -> Any:
        features = {"input_ids": ids, "attention_mask": tf.ones_like(ids)}
        with tf.GradientTape() as tape:
            logits = model(features, training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[:, 0], logits)
        gradients = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return tf.reduce_mean(loss)

    ids = tf.random.stateless_uniform([1, width], [1, 2], 0, config.vocab_size, tf.int32)
    for number in range(updates):
        start = time.monotonic()
        loss = float(update(ids, tf.ones([1, 1], tf.int32)))
        seconds = time.monotonic() - start
        print(f"step {number + 1}: {seconds:.1f} s, loss {loss:.4f}, peak {_peak():.2f} GiB")
    print(f"{width:,} tokens, {model.count_params():,} weights, {at_start:.2f} GiB before training")


def _peak() -> float:
    """The peak memory of this process, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument != "plain"]
    main(*numbers, checkpointing="plain" not in sys.argv)
