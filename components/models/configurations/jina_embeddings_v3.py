"""The configuration of Jina Embeddings v3 (2409.10173)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from kfp_finetune.components.models.configurations.rotary_bert import RotaryBertConfig
from kfp_finetune.components.models.configurations.rules import layers, positive, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class JinaEmbeddingsV3Config(RotaryBertConfig):
    """`transformers.JinaEmbeddingsV3Config`."""

    DEFAULT_THETA: ClassVar[float] = 20_000.0

    vocab_size: int = size(250_002)
    hidden_size: int = size(1_024)
    num_hidden_layers: int = layers(24)
    num_attention_heads: int = size(16)
    intermediate_size: int = size(4_096)
    max_position_embeddings: int = size(8_194)
    layer_norm_eps: float = positive(1e-5)
