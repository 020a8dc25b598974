"""EuroBERT (2503.05500): Llama's layers with bidirectional attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kfp_finetune.components.models.configurations.eurobert import EuroBertConfig
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.feed_forward import GatedFeedForward
from kfp_finetune.components.models.heads import Head, TokenHead, mean_of_tokens
from kfp_finetune.components.models.norms import RmsNorm
from kfp_finetune.components.models.rotary_attention import RotaryAttention, RotaryEncoder


class EuroBertEncoder(RotaryEncoder):
    """Word embeddings and a stack of pre-norm layers."""

    def __init__(self, config: EuroBertConfig) -> None:
        super().__init__()
        self._config = config
        self.words = Embedding(config.vocab_size, config.hidden_size)
        self.blocks = [EuroBertLayer(config) for _ in range(config.num_hidden_layers)]
        self.final_norm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.built = True

    def call(self, features: Mapping[str, Any], seed: Any = None, first_token: bool = False) -> Any:
        """See `Encoder.call`."""
        x = self.words(features["input_ids"])
        x = self.run_rotary(self.blocks, x, features, self._config, seed, first_token)
        return self.final_norm(x)


class EuroBertLayer(keras.layers.Layer):
    """Attention and feed-forward, each with a normalization before it."""

    def __init__(self, config: EuroBertConfig) -> None:
        super().__init__(autocast=False)  # as `RotaryAttention`
        hidden = config.hidden_size
        self.attention_norm = RmsNorm(hidden, config.rms_norm_eps)
        self.attention = RotaryAttention(
            hidden,
            config.num_attention_heads,
            config.head_size,
            config.attention_dropout,
            bias=config.attention_bias,
            key_value_heads=config.key_value_heads,
        )
        self.feed_forward_norm = RmsNorm(hidden, config.rms_norm_eps)
        self.feed_forward = GatedFeedForward(
            hidden,
            config.intermediate_size,
            config.hidden_act,
            bias=config.mlp_bias,
            outer_bias=config.mlp_bias,
        )
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
            self.attention_norm(x),
            bias,
            cosines,
            sines,
            seed,
            in_blocks=in_blocks,
            first_token=first_token,
        )
        x = (x[:, :1] if first_token else x) + attended
        return x + self.feed_forward(self.feed_forward_norm(x))


class EuroBertHead(Head):
    """Two dense layers on a pooled state, or on every token's state with the mean of the logits."""

    def __init__(self, config: EuroBertConfig, outputs: int) -> None:
        super().__init__()
        self._pooling = config.classifier_pooling
        self.dense = Dense(config.hidden_size, config.hidden_size, "gelu")
        self.logits = Dense(config.hidden_size, outputs)
        self.built = True

    def call(self, hidden: Any, attention_mask: Any, seed: Any = None) -> Any:
        """See `Head.call`; shape [batch, outputs]."""
        if self._pooling == "late":
            return mean_of_tokens(self.logits(self.dense(hidden)), attention_mask)
        first = self._pooling == "bos"
        pooled = hidden[:, 0] if first else mean_of_tokens(hidden, attention_mask)
        return self.logits(self.dense(pooled))


LAYER_NAMES = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output_projection": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.inner": "mlp.up_proj",
    "feed_forward.outer": "mlp.down_proj",
}

FAMILY = Family(
    torch_class="EuroBert",
    prefix="model",
    encoder=EuroBertEncoder,
    pooled_head=EuroBertHead,
    token_head=lambda config, outputs: TokenHead(config.hidden_size, 0.0, outputs),
    encoder_names={
        "words": "embed_tokens",
        **{f"blocks.{{}}.{ours}": f"layers.{{}}.{theirs}" for ours, theirs in LAYER_NAMES.items()},
        "final_norm": "norm",
    },
    pooled_head_names={"dense": "dense", "logits": "classifier"},
    first_token=lambda config: config.classifier_pooling == "bos",
)
