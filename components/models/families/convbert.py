"""ConvBERT (2008.02496): dynamic convolutions replace half of the attention heads."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from kfp_finetune.components.models.activations import activation_function
from kfp_finetune.components.models.attention import attend, split_heads
from kfp_finetune.components.models.configurations.convbert import ConvBertConfig
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.families import bert, roberta
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import FeedForward
from kfp_finetune.components.models.heads import PooledHead


class ConvBertEncoder(bert.BertEncoder):
    """BERT's encoder with other layers. Padding matters, because convolutions reach into it."""

    def __init__(self, config: ConvBertConfig) -> None:
        width = config.embedding_size
        blocks = [layer(config) for _ in range(config.num_hidden_layers)]
        super().__init__(config, blocks, width, projected=width != config.hidden_size)
        self.words.fixed = config.pad_token_id


def layer(config: ConvBertConfig) -> bert.BertLayer:
    """BERT's layer with mixed attention and, optionally, a grouped feed-forward half."""
    groups = config.num_groups
    feed_forward = None if groups == 1 else GroupedFeedForward(config)
    return bert.BertLayer(config, MixedAttention(config), feed_forward)


class MixedAttention(keras.layers.Layer):
    """Self-attention and span-based dynamic convolution side by side (section 3.3)."""

    def __init__(self, config: ConvBertConfig) -> None:
        super().__init__()
        hidden, size = config.hidden_size, config.conv_kernel_size
        self._heads, self._reach = config.attention_heads, size // 2
        half = hidden // 2
        self.query = Dense(hidden, half)
        self.key = Dense(hidden, half)
        self.value = Dense(hidden, half)
        self.spans = Convolution(hidden, half, size)
        self.kernels = Dense(half, self._heads * size)
        self.convolved = Dense(hidden, half)
        self.dropout = Dropout(config.attention_probs_dropout_prob)
        self.output_projection = Dense(hidden, hidden)
        self.built = True

    def call(self, x: Any, bias: Any, seed: Any = None, first_token: bool = False) -> Any:
        """See `SelfAttention.call`."""
        query = self.query(x[:, :1] if first_token else x)
        # The convolutions of the first token reach this far.
        near = x[:, : self._reach + 1] if first_token else x
        local = self.convolve(near, query, first_token=first_token)
        key = split_heads(self.key(x), self._heads)
        value = split_heads(self.value(x), self._heads)
        query = split_heads(query, self._heads)
        attended = attend(query, key, value, bias, self.dropout, seed)
        return self.output_projection(tf.concat([attended, local], -1))

    def convolve(self, x: Any, query: Any, first_token: bool) -> Any:
        """Convolve with a separate kernel for each token and head.

        Args:
            x: Hidden states, shape [batch, width, hidden].
            query: The projected queries, shape [batch, width, half], or [batch, 1, half].
            first_token: Whether to compute only the first token's result.

        Returns:
            The convolved values, in the shape of the queries.
        """
        spans = self.spans(x)
        kernels = self.kernels((spans[:, :1] if first_token else spans) * query)
        shape = tf.shape(query)
        batch, width, half = shape[0], shape[1], query.shape[-1]
        size = 2 * self._reach + 1
        kernels = tf.nn.softmax(tf.reshape(kernels, [batch, width, self._heads, size]))
        around = tf.pad(self.convolved(x), [[0, 0], [self._reach] * 2, [0, 0]])
        parts = tf.reshape(around, [batch, -1, self._heads, half // self._heads])
        convolved = sum(
            parts[:, offset : offset + width] * kernels[..., offset : offset + 1]
            for offset in range(size)
        )
        return tf.reshape(convolved, [batch, width, half])


class Convolution(keras.layers.Layer):
    """A depthwise separable convolution: one kernel per channel, then a dense layer over channels.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        size: Size of the kernel, an odd number.
    """

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {
        "depthwise": ("depthwise.weight", (2, 1, 0)),
        "pointwise": ("pointwise.weight", (2, 1, 0)),
        "bias": ("bias", None),
    }

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.depthwise = self.add_weight(
            shape=(size, 1, inputs), initializer="zeros", name="depthwise"
        )
        self.pointwise = self.add_weight(
            shape=(1, inputs, outputs), initializer="zeros", name="pointwise"
        )
        self.bias = self.add_weight(shape=(outputs, 1), initializer="zeros", name="bias")
        self.built = True

    def call(self, x: Any) -> Any:
        """Map inputs of shape [batch, width, inputs] to shape [batch, width, outputs]."""
        size, (_, inputs, outputs) = self.depthwise.shape[0], self.pointwise.shape
        width = tf.shape(x)[1]
        around = tf.pad(x, [[0, 0], [size // 2] * 2, [0, 0]])
        kernel = tf.convert_to_tensor(self.depthwise)
        y = sum(around[:, i : i + width] * kernel[i] for i in range(size))
        y = tf.matmul(tf.reshape(y, [-1, inputs]), tf.convert_to_tensor(self.pointwise)[0])
        y = tf.nn.bias_add(y, tf.reshape(self.bias, [-1]))
        return tf.reshape(y, [-1, width, outputs])


class GroupedFeedForward(FeedForward):
    """A feed-forward half with separate groups of features."""

    def __init__(self, config: ConvBertConfig) -> None:
        keras.layers.Layer.__init__(self)
        hidden, inner, groups = config.hidden_size, config.intermediate_size, config.num_groups
        self.inner = GroupedDense(hidden, inner, groups, config.hidden_act)
        self.outer = GroupedDense(inner, hidden, groups)
        self.built = True


class GroupedDense(keras.layers.Layer):
    """A dense layer for each of several groups of features.

    Args:
        inputs: Width of x.
        outputs: Width of y.
        groups: A divisor of both.
        activation: The activation, as in `Dense`.
    """

    TORCH: ClassVar[dict[str, tuple[str, tuple[int, ...] | None]]] = {
        "kernel": ("weight", (2, 1, 0)),
        "bias": ("bias", None),
    }

    def __init__(
        self, inputs: int, outputs: int, groups: int, activation: str | None = None
    ) -> None:
        super().__init__()
        shape = outputs // groups, inputs // groups, groups  # as in TensorFlow's checkpoints
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(outputs,), initializer="zeros", name="bias")
        self._activation = activation_function(activation)
        self.built = True

    def call(self, x: Any) -> Any:
        """Hidden states, shape [batch, width, inputs]."""
        outputs, inputs, groups = self.kernel.shape
        parts = tf.transpose(tf.reshape(x, [-1, groups, inputs]), [1, 0, 2])
        y = tf.transpose(tf.matmul(parts, tf.transpose(self.kernel, [2, 1, 0])), [1, 0, 2])
        y = tf.nn.bias_add(tf.reshape(y, [-1, groups * outputs]), tf.convert_to_tensor(self.bias))
        return tf.reshape(self._activation(y), [-1, tf.shape(x)[1], groups * outputs])


def pooled_head(config: ConvBertConfig, outputs: int) -> PooledHead:
    """RoBERTa's head, with the activation of the layers."""
    dropout, hidden = config.head_dropout, config.hidden_size
    return PooledHead(hidden, dropout, outputs, config.hidden_act, dropout_before=dropout)


_SELF = "encoder.layer.{}.attention.self"
ENCODER_NAMES = {
    **bert.ENCODER_NAMES,
    "projection": "embeddings_project",
    "blocks.{}.attention.spans": f"{_SELF}.key_conv_attn_layer",
    "blocks.{}.attention.kernels": f"{_SELF}.conv_kernel_layer",
    "blocks.{}.attention.convolved": f"{_SELF}.conv_out_layer",
}

FAMILY = Family(
    torch_class="ConvBert",
    prefix="convbert",
    encoder=ConvBertEncoder,
    pooled_head=pooled_head,
    token_head=bert.token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names=roberta.POOLED_HEAD_NAMES,
)
