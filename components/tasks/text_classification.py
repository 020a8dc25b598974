"""Text classification: one label for one text, or for a pair of texts."""

from __future__ import annotations

from typing import Any

NAME = "text-classification"
PROBLEM_TYPE = "single_label_classification"


def loss() -> Any:
    """Cross-entropy between integer labels and logits, averaged over the examples of an update."""
    import tf_keras

    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def training_metrics() -> list[Any]:
    """What is measured on the validation split while training."""
    import tf_keras

    return [tf_keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
