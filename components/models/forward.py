"""A model as a function from token ids to logits, without dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kfp_finetune.components.models.classifier import Classifier


def forward(model: Classifier) -> Any:
    """Compile a model to a function that computes logits, one graph for all batch shapes.

    Args:
        model: The model.

    Returns:
        A function from features to logits, as in `Classifier.call`.
    """
    return tf.function(logits_of(model), reduce_retracing=True)


def logits_of(model: Classifier) -> Callable[..., Any]:
    """The function that computes a model's logits, to be called inside a graph.

    AutoGraph does not convert it: the conversion would take most of the time before the first
    batch, and no layer branches on a tensor's value.

    Args:
        model: The model.

    Returns:
        A function from features and `training` (default False: without dropout) to logits.
    """

    def logits(features: dict[str, Any], training: bool = False) -> Any:
        return model(features, training=training)

    return tf.autograph.experimental.do_not_convert(logits)  # type: ignore[no-any-return]
