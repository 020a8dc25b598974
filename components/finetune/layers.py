"""Parts of a Transformers model that compute what the model's own do, in less time.

An update spends most of what is not matrix products on passing over activations again and again:
Keras' layer normalization takes some thirty operations and its gradient, Transformers' GELU twenty,
dropout as many random bits as a float has. And all tokens go through the last layer, of which the
head looks at the first. Each part here has the weights of the one it replaces; results differ by
rounding, and dropout by what it draws.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras
from transformers.activations_tf import get_tf_activation

# Layers whose attention takes queries of some tokens and keys of others. What the other families'
# heads look at, or how their last layer is built, is not the same.
_LIKE_BERT = ("bert", "camembert", "electra", "rembert", "roberta", "xlm-roberta")
_RANDOM_BITS = 16


def replace(model: Any, *, first_token: bool) -> None:
    """Put these parts in place of a model's own.

    Args:
        model: A built Transformers model.
        first_token: Whether its head looks at the first token only.
    """
    for module in (model, *model.submodules):
        for name, part in list(vars(module).items()):
            if type(part) is tf_keras.layers.LayerNormalization and part.axis in ([-1], [2]):
                setattr(module, name, LayerNorm(part))
            elif type(part) is tf_keras.layers.Dropout:
                setattr(module, name, Dropout(part.rate, name=part.name))
            elif part is get_tf_activation("gelu"):
                setattr(module, name, gelu)
    if first_token and model.config.model_type in _LIKE_BERT:
        encoder = getattr(model, model.base_model_prefix).encoder
        *others, last = encoder.layer
        encoder.layer = [*others, FirstToken(last)]


@tf.custom_gradient
def gelu(x: Any) -> tuple[Any, Any]:
    """The Gaussian error linear unit (1606.08415), x Φ(x), with the error function itself."""
    cdf = 0.5 * tf.math.erf(x * math.sqrt(0.5)) + 0.5

    def gradient(dy: Any) -> Any:
        with tf.name_scope("gelu_gradient"):  # for who profiles an update
            density = tf.exp(tf.square(x) * -0.5)
            return dy * (cdf + x * density * (1 / math.sqrt(2 * math.pi)))

    return x * cdf, gradient


class LayerNorm(tf_keras.layers.Layer):
    """Layer normalization over the last axis (1607.06450), with the weights of Keras' own.

    Args:
        like: A built `LayerNormalization` with scale and offset.
    """

    def __init__(self, like: tf_keras.layers.LayerNormalization) -> None:
        super().__init__(name=like.name)
        self.gamma, self.beta, self.epsilon = like.gamma, like.beta, like.epsilon
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Normalized in float32, of the inputs' shape [..., features] and type."""
        x = tf.cast(inputs, tf.float32)
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return tf.cast(_layer_norm(x, gamma, beta, self.epsilon), inputs.dtype)


def _layer_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    @tf.custom_gradient
    def normalize(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        centered = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
        scale = tf.math.rsqrt(variance + epsilon)
        normal = centered * scale

        def gradient(dy: Any) -> tuple[Any, Any, Any]:
            with tf.name_scope("layer_norm_gradient"):
                rows = list(range(len(x.shape) - 1))
                toward = dy * normal
                scaled = dy * gamma
                mean = tf.reduce_mean(scaled, -1, keepdims=True)
                along = tf.reduce_mean(toward * gamma, -1, keepdims=True)
                dx = (scaled - mean - normal * along) * scale
                return dx, tf.reduce_sum(toward, rows), tf.reduce_sum(dy, rows)

        return normal * gamma + beta, gradient

    return normalize(x, gamma, beta)


class Dropout(tf_keras.layers.Dropout):
    """Dropout that draws 16 bits an element, not 32; the rate is rounded to a multiple of 2^-16."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The inputs; in training a share `rate` of them 0 and the others as much larger."""
        if not training or not self.rate:
            return inputs
        values = 2**_RANDOM_BITS
        dropped = round(self.rate * values)
        size = tf.size(inputs, out_type=tf.int64)
        words = self._random_generator._generator.uniform_full_int([-(-size // 4)], tf.uint64)
        drawn = tf.reshape(tf.bitcast(words, tf.int16), [-1])[:size]
        kept = tf.reshape(drawn, tf.shape(inputs)) >= tf.constant(dropped - values // 2, tf.int16)
        outputs = inputs * tf.where(kept, tf.cast(values / (values - dropped), inputs.dtype), 0)
        return tf.ensure_shape(outputs, inputs.shape)  # what is known of it, all later layers need


class FirstToken(tf_keras.layers.Layer):
    """A model's last layer, computed for the first token only: the head looks at no other.

    Args:
        layer: A `TFBertLayer`, or another family's that is built like it.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__(name=layer.name)
        self._layer = layer
        self.built = True

    def call(
        self, hidden_states: Any, attention_mask: Any, training: bool = False, **_: Any
    ) -> tuple[Any]:
        """As the layer's own `call`; the first token's hidden state, shape [batch, 1, features]."""
        (attended,) = self._layer.attention(
            input_tensor=hidden_states[:, :1],
            attention_mask=attention_mask,
            head_mask=None,
            encoder_hidden_states=hidden_states,
            encoder_attention_mask=attention_mask,
            past_key_value=None,
            output_attentions=False,
            training=training,
        )
        between = self._layer.intermediate(hidden_states=attended)
        return (self._layer.bert_output(between, attended, training=training),)
