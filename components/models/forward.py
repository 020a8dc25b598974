"""A model as a function from token ids to logits, without dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.gradients import without_gradients


def forward(model: Classifier) -> Any:
    """Compile a model to a function that computes logits, one graph for all batch shapes.

    The graph has no gradients, so that it is released with the function.

    Args:
        model: The model.

    Returns:
        A function from features to logits, as in `Classifier.call`.
    """
    logits = logits_of(model)

    def without_gradient(features: dict[str, Any]) -> Any:
        with without_gradients():
            return logits(features)

    return tf.function(without_gradient, autograph=False, reduce_retracing=True)


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
