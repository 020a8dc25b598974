"""Export a model as a SavedModel, for TensorFlow Serving and tf.saved_model.load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.forward import logits_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGNATURE = "serving_default"


def write(network: Classifier, names: Sequence[str], folder: Path) -> None:
    """Write a model with the signature `serving_default`.

    Its inputs are token ids by name, int32, shape [batch, width]; its output is `logits`, float32,
    shape [batch, outputs].

    Args:
        network: The model.
        names: Its inputs: `input_ids`, `attention_mask`, maybe `token_type_ids`.
        folder: An existing folder.
    """
    logits = logits_of(network)
    serve = tf.function(lambda **features: {"logits": logits(features)})
    signature = serve.get_concrete_function(
        **{name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}
    )
    # Not the model itself: Keras would also save its training, for every call signature.
    module = tf.Module()
    module.all_weights = [weight.value for weight in network.weights]
    tf.saved_model.save(module, str(folder), {SIGNATURE: signature})


def logits(folder: Path, features: Mapping[str, NDArray[np.int32]]) -> NDArray[np.float32]:
    """The logits of an exported model, float32, shape [batch, outputs]."""
    loaded = tf.saved_model.load(str(folder))
    tensors = {name: tf.constant(value) for name, value in features.items()}
    answer: NDArray[np.float32] = loaded.signatures[SIGNATURE](**tensors)["logits"].numpy()
    return answer
