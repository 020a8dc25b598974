"""MobileBERT's configuration (2004.02984)."""

from __future__ import annotations

import dataclasses

from kfp_finetune.components.models.configurations.common import CommonConfig
from kfp_finetune.components.models.configurations.config import heads_divide, together
from kfp_finetune.components.models.configurations.rules import (
    activation,
    flag,
    layers,
    one_of,
    rate,
    size,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileBertConfig(CommonConfig):
    """`transformers.MobileBertConfig`."""

    hidden_size: int = size(512)
    num_hidden_layers: int = layers(24)
    num_attention_heads: int = size(4)
    intermediate_size: int = size(512)
    hidden_act: str = activation("relu")
    hidden_dropout_prob: float = rate(0.0)
    classifier_dropout: float | None = rate(None)
    classifier_activation: bool = flag(True)
    type_vocab_size: int = size(2)
    embedding_size: int = size(128)
    trigram_input: bool = flag(True)
    use_bottleneck: bool = flag(True)
    intra_bottleneck_size: int = size(128)
    use_bottleneck_attention: bool = flag(False)
    key_query_shared_bottleneck: bool = flag(True)
    num_feedforward_networks: int = layers(4)
    normalization_type: str = one_of("no_norm", "no_norm", "layer_norm")

    @property
    def fixed_ids(self) -> int:
        """See `Config.fixed_ids`: padding is not trained."""
        return (self.pad_token_id or 0) + 1

    @property
    def true_hidden_size(self) -> int:
        """Width of the hidden states between the bottlenecks."""
        return self.intra_bottleneck_size if self.use_bottleneck else self.hidden_size

    def problems(self) -> dict[str, str]:
        """Refuse contradicting sizes, and weights that PyTorch would not use."""
        wrong = heads_divide(self.true_hidden_size, self.num_attention_heads)
        wrong |= together(
            num_hidden_layers=self.num_hidden_layers,
            num_feedforward_networks=self.num_feedforward_networks,
        )
        if self.described.get("true_hidden_size", self.true_hidden_size) != self.true_hidden_size:
            wrong["true_hidden_size"] = str(self.true_hidden_size)
        if not self.trigram_input and self.embedding_size == self.hidden_size:
            wrong["trigram_input"] = "true if embedding_size equals hidden_size"
        if not self.use_bottleneck:
            return wrong
        shared = self.key_query_shared_bottleneck
        if shared and self.use_bottleneck_attention:
            wrong["key_query_shared_bottleneck"] = "false if use_bottleneck_attention is true"
        wide_queries = not shared and not self.use_bottleneck_attention
        if wide_queries and self.intra_bottleneck_size != self.hidden_size:
            wrong["intra_bottleneck_size"] = f"{self.hidden_size}, the width of the queries"
        return wrong
