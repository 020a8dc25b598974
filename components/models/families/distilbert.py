"""DistilBERT (1910.01108): BERT's layers, fewer of them, and no token types."""

from __future__ import annotations

from kfp_finetune.components.models.configurations.distilbert import DistilBertConfig
from kfp_finetune.components.models.families import bert
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.heads import PooledHead


def pooled_head(config: DistilBertConfig, outputs: int) -> PooledHead:
    """Build BERT's head with another activation and its own dropout rate."""
    return PooledHead(config.dim, config.seq_classif_dropout, outputs, "relu")


ENCODER_NAMES = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "norm": "embeddings.LayerNorm",
    "blocks.{}.attention.query": "transformer.layer.{}.attention.q_lin",
    "blocks.{}.attention.key": "transformer.layer.{}.attention.k_lin",
    "blocks.{}.attention.value": "transformer.layer.{}.attention.v_lin",
    "blocks.{}.attention.output_projection": "transformer.layer.{}.attention.out_lin",
    "blocks.{}.attention_norm": "transformer.layer.{}.sa_layer_norm",
    "blocks.{}.feed_forward.inner": "transformer.layer.{}.ffn.lin1",
    "blocks.{}.feed_forward.outer": "transformer.layer.{}.ffn.lin2",
    "blocks.{}.feed_forward_norm": "transformer.layer.{}.output_layer_norm",
}


def encoder(config: DistilBertConfig) -> bert.BertEncoder:
    """Build BERT's layer without dropout between attention and its residual."""
    made = bert.BertEncoder(config)
    for block in made.blocks:
        block.attention_dropout.rate = 0.0
    return made


FAMILY = Family(
    torch_class="DistilBert",
    prefix="distilbert",
    encoder=encoder,
    pooled_head=pooled_head,
    token_head=bert.token_head,
    encoder_names=ENCODER_NAMES,
    pooled_head_names={"pooler": "pre_classifier", "logits": "classifier"},
)
