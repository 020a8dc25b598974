"""ELECTRA's discriminator (2003.10555)."""

from __future__ import annotations

from kfp_finetune.components.models.configurations.electra import ElectraConfig
from kfp_finetune.components.models.families import bert, roberta
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.heads import PooledHead


def encoder(config: ElectraConfig) -> bert.BertEncoder:
    """Build BERT's encoder with embeddings that may be narrower."""
    size = config.embedding_size
    return bert.BertEncoder(config, embedding_size=size, projected=size != config.hidden_size)


def pooled_head(config: ElectraConfig, outputs: int) -> PooledHead:
    """Build RoBERTa's head with GELU, which is hard-coded in PyTorch."""
    dropout = config.head_dropout
    return PooledHead(config.hidden_size, dropout, outputs, "gelu", dropout_before=dropout)


ENCODER_NAMES = {**bert.ENCODER_NAMES, "projection": "embeddings_project"}

FAMILY = Family(
    torch_class="Electra",
    prefix="electra",
    encoder=encoder,
    pooled_head=pooled_head,
    token_head=bert.token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names=roberta.POOLED_HEAD_NAMES,
)
