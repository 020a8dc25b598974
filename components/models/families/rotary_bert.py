"""BERT with rotary positions, the basis of NomicBERT, GTE and Jina Embeddings v3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kfp_finetune.components.models.configurations.rotary_bert import RotaryBertConfig
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.norms import LayerNorm
from kfp_finetune.components.models.rotary_attention import RotaryAttention, RotaryEncoder


class RotaryBertEncoder(RotaryEncoder):
    """Word and token-type embeddings and a stack of post-norm layers.

    Args:
        config: The configuration.
        feed_forward: Builds the feed-forward half of a layer.
        bias: Whether the dense layers of attention have a bias.
    """

    def __init__(
        self,
        config: RotaryBertConfig,
        feed_forward: Callable[[Any], keras.layers.Layer],
        bias: bool = True,
    ) -> None:
        super().__init__()
        self._config = config
        hidden, types = config.hidden_size, config.type_vocab_size
        self.words = Embedding(config.vocab_size, hidden)
        self.token_types = Embedding(types, hidden) if types else None
        self.norm = LayerNorm(hidden, config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.blocks = [
            RotaryBertLayer(config, feed_forward(config), bias)
            for _ in range(config.num_hidden_layers)
        ]
        self.built = True

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        ids, types = features["input_ids"], features.get("token_type_ids")
        x = self.words(ids)
        if self.token_types is not None:
            x += self.token_types.first(1) if types is None else self.token_types(types)
        x = self.dropout(self.norm(x), seed)
        return self.run_rotary(self.blocks, x, features, self._config, seed, first_token)


class RotaryBertLayer(keras.layers.Layer):
    """Attention and feed-forward, each with a residual and a normalization after it."""

    def __init__(
        self, config: RotaryBertConfig, feed_forward: keras.layers.Layer, bias: bool
    ) -> None:
        super().__init__(autocast=False)  # as `RotaryAttention`
        hidden, epsilon = config.hidden_size, config.layer_norm_eps
        self.attention = RotaryAttention(
            hidden,
            config.num_attention_heads,
            config.head_size,
            config.attention_probs_dropout_prob,
            bias=bias,
        )
        self.attention_dropout = Dropout(config.hidden_dropout_prob)
        self.attention_norm = LayerNorm(hidden, epsilon)
        self.feed_forward = feed_forward
        self.feed_forward_dropout = Dropout(config.hidden_dropout_prob)
        self.feed_forward_norm = LayerNorm(hidden, epsilon)
        self.built = True

    def call(
        self,
        x: Any,
        bias: Any,
        cosines: Any,
        sines: Any,
        seed: Any = None,
        *,
        in_blocks: bool,
        first_token: bool,
    ) -> Any:
        """Hidden states, shape [batch, width, hidden]; only the first token's if `first_token`."""
        attended = self.attention(
            x, bias, cosines, sines, seed, in_blocks=in_blocks, first_token=first_token
        )
        residual = x[:, :1] if first_token else x
        x = self.attention_norm(residual + self.attention_dropout(attended, seed))
        fed = self.feed_forward(x, seed)
        return self.feed_forward_norm(x + self.feed_forward_dropout(fed, seed))


def encoder_names(feed_forward: Mapping[str, str]) -> dict[str, str]:
    """PyTorch's names of the layers.

    Args:
        feed_forward: PyTorch's names of the layers in the feed-forward half.
    """
    layer = {
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output_projection": "self_attn.o_proj",
        "attention_norm": "post_attention_layernorm",
        **{f"feed_forward.{ours}": f"mlp.{theirs}" for ours, theirs in feed_forward.items()},
        "feed_forward_norm": "post_mlp_layernorm",
    }
    return {
        "words": "embeddings.word_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "norm": "embeddings.LayerNorm",
        **{f"blocks.{{}}.{ours}": f"layers.{{}}.{theirs}" for ours, theirs in layer.items()},
    }


def query_key_value(fused: str) -> dict[str, tuple[str, ...]]:
    """The entry of `Family.split` for checkpoints that store queries, keys and values as one.

    Args:
        fused: A regular expression for the name of the joint layer.
    """
    return {fused: tuple(f"self_attn.{letter}_proj" for letter in "qkv")}
