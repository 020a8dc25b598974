"""ModernBERT (2412.13663)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.models.activations import activation_function
from kfp_finetune.components.models.attention import merge_heads, weighted_values
from kfp_finetune.components.models.block_attention import attend_by_blocks
from kfp_finetune.components.models.configurations.modernbert import ModernBertConfig
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.encoder import Encoder, padding_bias
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.heads import Head, mean_of_tokens
from kfp_finetune.components.models.local_attention import Window, attend_locally, window
from kfp_finetune.components.models.norms import LayerNorm
from kfp_finetune.components.models.rotary import rotate, rotations


# Not a tuple, because Keras would look for tensors in it.
@dataclasses.dataclass(frozen=True)
class Pass:
    """The tensors of a pass that all layers of one type of attention share.

    Attributes:
        bias: The bias that masks padding, shape [batch, 1, 1, width].
        window: The window of local layers; None if each token attends to all.
        cosines: Cosines of the rotary embeddings, shape [width, size of a head].
        sines: Sines of the rotary embeddings, the same shape.
    """

    bias: Any
    window: Window | None
    cosines: Any
    sines: Any


class ModernBertEncoder(Encoder):
    """Word embeddings and a stack of pre-norm layers with global or local attention."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self._config = config
        self.words = Embedding(config.vocab_size, config.hidden_size)
        self.norm = _norm(config)
        self.dropout = Dropout(config.embedding_dropout)
        self.blocks = [
            ModernBertLayer(config, first=number == 0) for number in range(config.num_hidden_layers)
        ]
        self.final_norm = _norm(config)
        self.built = True

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        ids, mask = features["input_ids"], features["attention_mask"]
        x = self.dropout(self.norm(self.words(ids)), seed)
        bias = padding_bias(mask)
        local_layers = self._config.local_layers
        passes = {local: self._pass(mask, bias, local) for local in set(local_layers)}
        for number, (block, local) in enumerate(zip(self.blocks, local_layers, strict=True)):
            x = self.through(
                block,
                x,
                seed,
                shared=passes[local],
                in_blocks=self.gradient_checkpointing,
                first_token=first_token and number == len(self.blocks) - 1,
            )
        return self.final_norm(x)

    def _pass(self, mask: Any, bias: Any, local: bool) -> Pass:
        config = self._config
        size = config.hidden_size // config.num_attention_heads
        return Pass(
            bias,
            window(mask, config.local_attention // 2) if local else None,
            *rotations(config.rope(local), tf.shape(mask)[1], size),
        )


class ModernBertLayer(keras.layers.Layer):
    """Attention and feed-forward, each with a normalization before it, except the first."""

    def __init__(self, config: ModernBertConfig, first: bool) -> None:
        super().__init__()
        self.attention_norm = None if first else _norm(config)
        self.attention = ModernBertAttention(config)
        self.feed_forward_norm = _norm(config)
        self.feed_forward = ModernBertFeedForward(config)
        self.built = True

    def call(
        self, x: Any, seed: Any = None, *, shared: Pass, in_blocks: bool, first_token: bool
    ) -> Any:
        """Hidden states, shape [batch, width, hidden]; only the first token's if `first_token`."""
        normal = x if self.attention_norm is None else self.attention_norm(x)
        attended = self.attention(
            normal, seed, shared=shared, in_blocks=in_blocks, first_token=first_token
        )
        x = (x[:, :1] if first_token else x) + attended
        return x + self.feed_forward(self.feed_forward_norm(x), seed)


class ModernBertAttention(keras.layers.Layer):
    """Multi-head self-attention with rotary positions, to all tokens or within a window."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        hidden, bias = config.hidden_size, config.attention_bias
        self._heads = config.num_attention_heads
        self.query_key_value = Dense(hidden, 3 * hidden, bias=bias)
        self.output_projection = Dense(hidden, hidden, bias=bias)
        self.dropout = Dropout(config.attention_dropout)
        self.output_dropout = Dropout(config.attention_dropout)
        self.built = True

    def call(
        self, x: Any, seed: Any = None, *, shared: Pass, in_blocks: bool, first_token: bool
    ) -> Any:
        """Compute self-attention.

        Args:
            x: Hidden states, shape [batch, width, hidden].
            seed: Seed of the pass, see `Dropout`; None for no dropout.
            shared: The tensors of this pass for this type of attention.
            in_blocks: Whether to compute global attention in blocks of queries.
            first_token: Whether only the first token attends.

        Returns:
            Shape [batch, width, hidden], or [batch, 1, hidden].
        """
        batch, width, hidden = tf.shape(x)[0], tf.shape(x)[1], x.shape[-1]
        size = hidden // self._heads
        parts = tf.reshape(self.query_key_value(x), [batch, width, 3, self._heads, size])
        query, key, value = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]))
        cosines, sines, scale = shared.cosines, shared.sines, size**-0.5
        query = rotate(query, cosines * scale, sines * scale)
        key = rotate(key, cosines, sines)
        if first_token:
            end = None if shared.window is None else shared.window.reach + 1
            attended = weighted_values(
                query[:, :, :1],
                key[:, :, :end],
                value[:, :, :end],
                shared.bias[..., :end],
                self.dropout,
                seed,
            )
        elif shared.window is not None:
            attended = attend_locally(query, key, value, shared.window, self.dropout, seed)
        else:
            weigh = attend_by_blocks if in_blocks else weighted_values
            attended = weigh(query, key, value, shared.bias, self.dropout, seed)
        return self.output_dropout(self.output_projection(merge_heads(attended)), seed)


class ModernBertFeedForward(keras.layers.Layer):
    """GeGLU (2002.05202) with one joint matrix for inputs and gates."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        hidden, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.inner = Dense(hidden, 2 * inner, bias=bias)
        self._activation = activation_function(config.hidden_activation)
        self.dropout = Dropout(config.mlp_dropout)
        self.outer = Dense(inner, hidden, bias=bias)
        self.built = True

    def call(self, x: Any, seed: Any = None) -> Any:
        """Hidden states, shape [batch, width, hidden]."""
        inputs, gates = tf.split(self.inner(x), 2, -1)
        return self.outer(self.dropout(self._activation(inputs) * gates, seed))


class ModernBertHead(Head):
    """A dense layer, a normalization and a last dense layer, for a text or for each token."""

    def __init__(self, config: ModernBertConfig, outputs: int, pooling: str) -> None:
        super().__init__()
        hidden, self._pooling = config.hidden_size, pooling
        self.dense = Dense(
            hidden, hidden, config.classifier_activation, bias=config.classifier_bias
        )
        self.norm = _norm(config)
        self.dropout = Dropout(config.classifier_dropout)
        self.logits = Dense(hidden, outputs)
        self.built = True

    def call(self, hidden: Any, attention_mask: Any, seed: Any = None) -> Any:
        """See `Head.call`."""
        if self._pooling == "cls":
            hidden = hidden[:, 0]
        elif self._pooling == "mean":
            hidden = mean_of_tokens(hidden, attention_mask)
        return self.logits(self.dropout(self.norm(self.dense(hidden)), seed))


def _norm(config: ModernBertConfig) -> LayerNorm:
    return LayerNorm(config.hidden_size, config.norm_eps, bias=config.norm_bias)


LAYER_NAMES = {
    "attention_norm": "attn_norm",
    "attention.query_key_value": "attn.Wqkv",
    "attention.output_projection": "attn.Wo",
    "feed_forward_norm": "mlp_norm",
    "feed_forward.inner": "mlp.Wi",
    "feed_forward.outer": "mlp.Wo",
}
HEAD_NAMES = {"dense": "head.dense", "norm": "head.norm", "logits": "classifier"}

FAMILY = Family(
    torch_class="ModernBert",
    prefix="model",
    encoder=ModernBertEncoder,
    pooled_head=lambda config, outputs: ModernBertHead(config, outputs, config.classifier_pooling),
    token_head=lambda config, outputs: ModernBertHead(config, outputs, "none"),
    encoder_names={
        "words": "embeddings.tok_embeddings",
        "norm": "embeddings.norm",
        **{f"blocks.{{}}.{ours}": f"layers.{{}}.{theirs}" for ours, theirs in LAYER_NAMES.items()},
        "final_norm": "final_norm",
    },
    pooled_head_names=HEAD_NAMES,
    token_head_names=HEAD_NAMES,
    first_token=lambda config: config.classifier_pooling == "cls",
)
